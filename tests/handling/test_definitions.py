"""The definitions as the handler follows them: what is published counts at once, what is broken harms nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution, SucceedTaskExecution
from service.contracts.definitions import definition_key
from service.contracts.topics import DEFINITIONS
from service.handling import metrics
from service.handling.definitions_table import DefinitionsTable
from tests.handling.world import Running, World, body, eventually, execution_id, header, id_owned_by

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture
def task_id() -> str:
    return f"definitions:{uuid7()}"


def definition(task_id: str, **more: Any) -> dict[str, Any]:
    return {"taskId": task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql", **more}


async def execute(world: World, task_id: str, version: str = "1.0.0") -> tuple[str, tuple[int, int]]:
    """Write an ExecuteTask; returns the executionId and its place."""
    id_ = id_owned_by(1)
    task = ExecuteTask(task_id=task_id, task_version=version, inputs={})
    return execution_id(id_), await world.command(task, id_=id_, partition=1)


async def outcome(world: World, execution: str, place: tuple[int, int]) -> list[str | None]:
    await world.settled()
    events = [header(record, "ce_type") for record in await world.events(execution)]
    return events + [item["problem"]["code"] for item in await world.rejections(place)]


@asynccontextmanager
async def unread(monkeypatch: pytest.MonkeyPatch, running: Running) -> AsyncIterator[None]:
    """The table is behind: what is published within is read only after the command waits for it."""
    released = asyncio.Event()
    waiting = asyncio.Event()
    table = running.owners[1]._around.definitions
    consumer = table._consumer
    getmany, catch_up = consumer.getmany, table.catch_up

    async def held(**options: Any) -> Any:
        await released.wait()
        return await getmany(**options)

    async def seen() -> None:
        waiting.set()
        await catch_up()

    monkeypatch.setattr(consumer, "getmany", held)
    monkeypatch.setattr(DefinitionsTable, "catch_up", lambda _: seen())
    async with table._read:  # the call that is under way would still see what comes
        await table._read.wait()
    yield
    await asyncio.wait_for(waiting.wait(), 10)
    released.set()


@pytest.mark.parametrize("before", [None, "DRAFT"])
async def test_publishing_then_executing_works_however_far_the_table_is_behind(
    world: World, running: Running, task_id: str, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before:
        await world.define(definition(task_id, status=before))
        await outcome(world, *await execute(world, task_id))
    async with unread(monkeypatch, running):
        await world.define(definition(task_id))
        execution, place = await execute(world, task_id)
    assert await outcome(world, execution, place) == ["TaskExecutionCreated"]


async def test_a_draft_is_refused(world: World, task_id: str) -> None:
    await world.define(definition(task_id, status="DRAFT"))
    assert await outcome(world, *await execute(world, task_id)) == ["definition_not_published"]


@pytest.mark.parametrize(
    "broken",
    [
        b"{oops",
        b"[]",
        b'{"taskId":"a:b"}',
        b"\xff",
        b'{"a":' + b"[" * 10_000,
        b'{"taskId":"a:b","version":"1.0.0","status":"PUBLISHED","type":"sql","inputVariables":'
        b'[{"name":"x","type":"string","validation":{"pattern":"("}}]}',
        b'{"taskId":"a:b","version":"1.0.0","status":"PUBLISHED","type":"sql","inputVariables":'
        b'[{"name":"x","type":"number","validation":{"minValue":1e999}}]}',
    ],
)
async def test_a_definition_that_cannot_be_read_is_reported_and_others_work(
    world: World, task_id: str, broken: bytes
) -> None:
    unreadable = metrics.DEFINITIONS_UNREADABLE._value.get()
    await world.write(broken, [("x", b"\xff")], topic=DEFINITIONS, key=b"a:b@1.0.0")
    await world.define(definition(task_id))
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]
    assert await outcome(world, *await execute(world, "a:b")) == ["definition_not_found"]
    assert metrics.DEFINITIONS_UNREADABLE._value.get() == unreadable + 1


async def test_a_published_version_never_changes(world: World, task_id: str) -> None:
    await world.define(definition(task_id))
    variables = [{"name": "x", "type": "number"}]
    await world.define(definition(task_id, inputVariables=variables), definition(task_id, status="DRAFT"))
    marker = f"{task_id}-read"
    await world.define(definition(marker))
    assert await outcome(world, *await execute(world, marker)) == ["TaskExecutionCreated"]
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]


async def test_an_execution_outlives_its_definition(world: World, running: Running, task_id: str) -> None:
    await world.define(definition(task_id, outputVariables=[{"name": "o", "type": "number"}]))
    execution, place = await execute(world, task_id)
    assert await outcome(world, execution, place) == ["TaskExecutionCreated"]
    table = running.owners[1]._around.definitions
    await world.write(None, topic=DEFINITIONS, key=definition_key(task_id, "1.0.0").encode())
    await eventually(lambda: table.get(task_id, "1.0.0") is None, "the definition is withdrawn")
    assert await outcome(world, *await execute(world, task_id)) == ["definition_not_found"]
    await world.command(StartTaskExecution(execution_id=execution))
    await world.settled()
    await world.command(SucceedTaskExecution(execution_id=execution, outputs={"anything": "goes"}))
    await world.settled()
    assert body((await world.events(execution))[-1])["outputs"] == {"anything": "goes"}


async def test_a_tombstone_for_what_nobody_knows_is_nothing(world: World, task_id: str) -> None:
    await world.write(None, topic=DEFINITIONS, key=b"nobody:knows@1.0.0")
    await world.define(definition(task_id))
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]
