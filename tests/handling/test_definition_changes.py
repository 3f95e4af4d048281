"""Definitions that come and go while commands run."""

from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution
from service.contracts.definitions import definition_key
from service.contracts.topics import DEFINITIONS_TOPIC
from tests.handling.world import Running, World, body, eventually, execution_id, header, id_owned_by

pytestmark = pytest.mark.usefixtures("running")

PARTITION = 1


@pytest.fixture
def task_id() -> str:
    return f"changes:{uuid7()}"


def definition(task_id: str, **more: object) -> dict[str, Any]:
    return {"taskId": task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql", **more}


async def execute(
    world: World, task_id: str, *, id_: str | None = None, **inputs: object
) -> tuple[str, tuple[int, int]]:
    """Write an ExecuteTask that asks for a reply; returns its id and its place."""
    id_ = id_ or id_owned_by(PARTITION)
    task = ExecuteTask(task_id=task_id, task_version="1.0.0", inputs=inputs)
    return id_, await world.command(task, id_=id_, partition=PARTITION, reply=True)


async def withdraw(world: World, running: Running, task_id: str) -> None:
    """Delete a definition, and wait until the handler has seen that."""
    await world.write(None, topic=DEFINITIONS_TOPIC, key=definition_key(task_id, "1.0.0").encode())
    table = running.owners[PARTITION]._context.definitions
    await eventually(lambda: table.get(task_id, "1.0.0") is None, "the definition is withdrawn")


async def test_publishing_and_executing_at_once_works_every_time(world: World, task_id: str) -> None:
    executions = []
    for number in range(30):
        await world.define(definition(f"{task_id}-{number}"))
        id_, _ = await execute(world, f"{task_id}-{number}")
        executions.append(execution_id(id_))
    await world.settled()
    for execution in executions:
        assert [header(record, "ce_type") for record in await world.events(execution)] == ["TaskExecutionCreated"]


@pytest.mark.parametrize("status", [None, "DRAFT", "PUBLISHED"])
async def test_a_duplicate_is_answered_whatever_became_of_its_definition(
    world: World, running: Running, task_id: str, status: str | None
) -> None:
    await world.define(definition(task_id, inputVariables=[{"name": "x", "type": "number"}]))
    id_, _ = await execute(world, task_id, x=1)
    await world.settled()
    await withdraw(world, running, task_id)
    if status:
        await world.define(definition(task_id, status=status, inputVariables=[{"name": "y", "type": "string"}]))
    table = running.owners[PARTITION]._context.definitions
    await eventually(lambda: status is None or table.get(task_id, "1.0.0"), "the definition came back")
    epoch = running.owners[PARTITION].epoch
    await execute(world, task_id, id_=id_, x=1)
    await world.settled()
    first, second = await world.replies(id_)
    assert (first["outcome"], second["outcome"]) == ("accepted", "duplicate")
    assert first["taskExecution"] == second["taskExecution"]
    assert running.owners[PARTITION].epoch == epoch


@pytest.mark.parametrize(("type_", "allowed"), [("pyspark_operator", True), ("sql", False)])
async def test_only_pyspark_tasks_have_a_spark_application(
    world: World, task_id: str, type_: str, *, allowed: bool
) -> None:
    await world.define(definition(task_id, type=type_))
    id_, _ = await execute(world, task_id)
    await world.settled()
    execution = execution_id(id_)
    start = StartTaskExecution(execution_id=execution, spark_application_id="application_1")
    await world.command(start, id_=(named := str(uuid7())), reply=True)
    await world.settled()
    await world.command(StartTaskExecution(execution_id=execution), id_=(plain := str(uuid7())), reply=True)
    await world.settled()
    applications = [body(record).get("sparkApplicationId") for record in await world.events(execution)]
    assert applications == [None, "application_1" if allowed else None]
    codes = [reply.get("problem", {}).get("code") for id_ in (named, plain) for reply in await world.replies(id_)]
    assert codes == ([None, "invalid_transition"] if allowed else ["spark_not_allowed", None])
