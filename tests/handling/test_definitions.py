"""The definitions as the handler follows them: what is published counts at once, what is broken harms nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution, SucceedTaskExecution
from service.contracts.definitions import definition_key
from service.contracts.topics import DEFINITIONS_TOPIC
from service.handling import metrics
from service.handling.definitions_table import DefinitionsTable
from tests.handling.world import Running, World, body, eventually, execution_id, header, id_owned_by

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture
def task_id() -> str:
    return f"definitions:{uuid7()}"


def definition(task_id: str, **more: Any) -> dict[str, Any]:
    return {"taskId": task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql", **more}


async def execute(world: World, task_id: str, **inputs: object) -> tuple[str, tuple[int, int]]:
    """Write an ExecuteTask; returns the executionId and its place."""
    id_ = id_owned_by(1)
    task = ExecuteTask(task_id=task_id, task_version="1.0.0", inputs=inputs)
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
    table = running.owners[1]._context.definitions
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


async def test_what_was_fetched_but_is_not_in_the_table_yet_is_waited_for(
    world: World, running: Running, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = running.owners[1]._context.definitions
    entered, asked, released = asyncio.Event(), asyncio.Event(), asyncio.Event()
    take, position = table.take, table._consumer.position

    async def seen(tp: Any) -> Any:
        asked.set()
        return await position(tp)

    async def slowly(records: Any) -> None:
        entered.set()
        await released.wait()
        await take(records)

    monkeypatch.setattr(table, "take", slowly)
    monkeypatch.setattr(table._consumer, "position", seen)
    await world.define(definition(task_id))
    await asyncio.wait_for(entered.wait(), 10)
    caught_up = asyncio.create_task(table.catch_up())
    await asyncio.wait_for(asked.wait(), 10)
    await asyncio.sleep(0)
    assert not caught_up.done()
    released.set()
    await asyncio.wait_for(caught_up, 10)
    assert table.get(task_id, "1.0.0")


async def test_a_draft_is_refused(world: World, task_id: str) -> None:
    await world.define(definition(task_id, status="DRAFT"))
    assert await outcome(world, *await execute(world, task_id)) == ["definition_not_published"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"{oops", "#: it is not strict JSON: "),
        (b"[]", "#: must be an object"),
        (b'{"taskId":"a:b"}', "#/version: required, but missing"),
        (b"\xff", "#: it is not strict JSON: "),
        (b'{"a":' + b"[" * 10_000, "#: it is not strict JSON: "),
        (
            b'{"taskId":"a:b","version":"1.0.0","status":"PUBLISHED","type":"sql","inputVariables":'
            b'[{"name":"x","type":"string","validation":{"pattern":"("}}]}',
            "#/inputVariables/0/validation/pattern: x: its pattern is not usable: missing ): (",
        ),
        (
            b'{"taskId":"a:b","version":"1.0.0","status":"PUBLISHED","type":"sql","inputVariables":'
            b'[{"name":"x","type":"number","validation":{"minValue":1e999}}]}',
            "#/inputVariables/0/validation/minValue: it is not strict JSON: the number is too large",
        ),
    ],
)
async def test_a_definition_that_cannot_be_used_says_why_and_others_work(
    world: World, task_id: str, broken: bytes, reason: str
) -> None:
    unreadable = metrics.DEFINITIONS_UNREADABLE._value.get()
    await world.write(broken, [("x", b"\xff")], topic=DEFINITIONS_TOPIC, key=b"a:b@1.0.0")
    await world.define(definition(task_id))
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]
    execution, place = await execute(world, "a:b")
    assert await outcome(world, execution, place) == ["definition_unusable"]
    (rejection,) = await world.rejections(place)
    assert reason in rejection["problem"]["detail"]
    assert [error["pointer"] for error in rejection["problem"]["errors"]] == ["#/taskVersion"]
    assert metrics.DEFINITIONS_UNREADABLE._value.get() == unreadable + 1


async def test_a_slow_pattern_with_a_long_value_is_refused_and_resets_nothing(
    world: World, running: Running, task_id: str
) -> None:
    variables = [{"name": "x", "type": "string", "validation": {"pattern": "a[ab]{1000}c"}}]
    await world.define(definition(task_id, inputVariables=variables, outputVariables=variables))
    epoch = running.owners[1].epoch
    slow = "ab" * 500_000
    execution, place = await execute(world, task_id, x="a" * 1001 + "c")
    _, refused = await execute(world, task_id, x=slow)
    assert await outcome(world, execution, place) == ["TaskExecutionCreated"]
    assert [item["problem"]["code"] for item in await world.rejections(refused)] == ["invalid_inputs"]
    await world.command(StartTaskExecution(execution_id=execution))
    await world.settled()
    place = await world.command(SucceedTaskExecution(execution_id=execution, outputs={"x": slow}), partition=1)
    await world.settled()
    (rejection,) = await world.rejections(place)
    assert rejection["problem"]["code"] == "invalid_outputs"
    assert "too long to be matched against its pattern" in rejection["problem"]["errors"][0]["detail"]
    assert running.owners[1].epoch == epoch


async def test_a_published_version_never_changes(world: World, task_id: str) -> None:
    changed = metrics.DEFINITIONS_CHANGED._value.get()
    await world.define(definition(task_id))
    variables = [{"name": "x", "type": "number"}]
    await world.define(definition(task_id, inputVariables=variables), definition(task_id, status="DRAFT"))
    marker = f"{task_id}-read"
    await world.define(definition(marker))
    assert await outcome(world, *await execute(world, marker)) == ["TaskExecutionCreated"]
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]
    assert metrics.DEFINITIONS_CHANGED._value.get() == changed + 2


async def test_an_execution_outlives_its_definition(world: World, running: Running, task_id: str) -> None:
    await world.define(definition(task_id, outputVariables=[{"name": "o", "type": "number"}]))
    execution, place = await execute(world, task_id)
    assert await outcome(world, execution, place) == ["TaskExecutionCreated"]
    table = running.owners[1]._context.definitions
    await world.write(None, topic=DEFINITIONS_TOPIC, key=definition_key(task_id, "1.0.0").encode())
    await eventually(lambda: table.get(task_id, "1.0.0") is None, "the definition is withdrawn")
    assert await outcome(world, *await execute(world, task_id)) == ["definition_not_found"]
    await world.command(StartTaskExecution(execution_id=execution))
    await world.settled()
    await world.command(SucceedTaskExecution(execution_id=execution, outputs={"anything": "goes"}))
    await world.settled()
    assert body((await world.events(execution))[-1])["outputs"] == {"anything": "goes"}


@pytest.mark.parametrize("later", ["broken", "changed", "draft"])
async def test_what_follows_a_withdrawn_version_brings_it_back_as_it_was_published(
    world: World, running: Running, task_id: str, later: str
) -> None:
    """Compaction would leave the same of a version that was never withdrawn: nobody could tell."""
    await world.define(definition(task_id))
    key = definition_key(task_id, "1.0.0").encode()
    table = running.owners[1]._context.definitions
    await eventually(lambda: table.get(task_id, "1.0.0"), "it is published")
    await world.write(None, topic=DEFINITIONS_TOPIC, key=key)
    await eventually(lambda: table.get(task_id, "1.0.0") is None, "it is withdrawn")
    if later == "broken":
        await world.write(b"{oops", topic=DEFINITIONS_TOPIC, key=key)
    elif later == "changed":
        await world.define(definition(task_id, inputVariables=[{"name": "x", "type": "number"}]))
    else:
        await world.define(definition(task_id, status="DRAFT"))
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/CloudEvents+JSON; charset=utf-8"]
)
async def test_a_definition_may_be_a_structured_event(world: World, task_id: str, content_type: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/catalogue", "type": "TaskDefinitionPublished"}
    value = json.dumps({**event, "data": definition(task_id)}).encode()
    key = definition_key(task_id, "1.0.0").encode()
    await world.write(value, [("Content-Type", content_type.encode())], topic=DEFINITIONS_TOPIC, key=key)
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]


async def test_a_tombstone_for_what_nobody_knows_is_nothing(world: World, task_id: str) -> None:
    await world.write(None, topic=DEFINITIONS_TOPIC, key=b"nobody:knows@1.0.0")
    await world.define(definition(task_id))
    assert await outcome(world, *await execute(world, task_id)) == ["TaskExecutionCreated"]
