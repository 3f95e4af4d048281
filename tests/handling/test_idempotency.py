"""Identity is idempotency: (source, id) names one command, however often and wherever it arrives."""

import asyncio
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution, StopTaskExecution, SucceedTaskExecution
from tests.handling.world import PARTITIONS, Running, World, body, execution_id, header, owner

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="idempotency:task", task_version="1.0.0", inputs={"x": 1}, created_by="me", tags=("a",))


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    inputs = [{"name": "x", "type": "number"}, {"name": "y", "type": "string", "required": False, "defaultValue": "d"}]
    await world.define(
        {"taskId": "idempotency:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
         "inputVariables": inputs, "outputVariables": [{"name": "o", "type": "number"}]},
    )  # fmt: skip


async def types(world: World, execution: str) -> list[str | None]:
    await world.settled()
    return [header(record, "ce_type") for record in await world.events(execution)]


async def test_the_same_command_on_every_partition_is_one_execution_and_one_answer_for_each(world: World) -> None:
    id_ = str(uuid7())
    await asyncio.gather(
        *(world.command(TASK, id_=id_, reply=True, partition=number) for number in range(PARTITIONS) for _ in "ab")
    )
    assert await types(world, execution_id(id_)) == ["TaskExecutionCreated"]
    (event,) = await world.events(execution_id(id_))
    replies = await world.replies(id_)
    assert sorted(reply["outcome"] for reply in replies) == ["accepted"] + ["duplicate"] * 7
    told = {reply["outcome"]: reply["taskExecution"] for reply in replies}
    assert told["accepted"] == told["duplicate"]
    assert told["accepted"]["resolvedInputs"] == {"x": 1, "y": "d"}
    for reply in replies:
        assert reply["position"]["partition"] == event.partition
        assert reply["position"]["offset"] >= event.offset


async def test_the_order_of_keys_does_not_make_another_command(world: World) -> None:
    id_ = str(uuid7())
    data: dict[str, Any] = TASK.model_dump(mode="json", by_alias=True, exclude_none=True)
    await world.command(data, "ExecuteTask", id_=id_)
    await world.settled()
    await world.command(dict(reversed(data.items())), "ExecuteTask", id_=id_, reply=True)
    assert await types(world, execution_id(id_)) == ["TaskExecutionCreated"]
    assert [reply["outcome"] for reply in await world.replies(id_)] == ["duplicate"]


async def test_the_same_id_from_another_source_is_another_command(world: World) -> None:
    id_ = str(uuid7())
    for source in ("/one", "/two"):
        await world.command(TASK, id_=id_, source=source)
    for source in ("/one", "/two"):
        assert await types(world, execution_id(id_, source)) == ["TaskExecutionCreated"]


async def test_the_same_id_with_another_payload_is_a_conflict(world: World) -> None:
    id_ = str(uuid7())
    await world.command(TASK, id_=id_)
    await world.settled()
    await world.command(TASK.model_copy(update={"inputs": {"x": 2}}), id_=id_, reply=True)
    assert await types(world, execution_id(id_)) == ["TaskExecutionCreated"]
    (reply,) = await world.replies(id_)
    assert reply["problem"]["code"] == "idempotency_conflict"
    (event,) = await world.events(execution_id(id_))
    assert body(event)["resolvedInputs"]["x"] == 1


async def test_a_lifecycle_command_that_repeats_what_is_so_is_a_duplicate(world: World) -> None:
    execution = execution_id(id_ := str(uuid7()))
    start = StartTaskExecution(execution_id=execution)
    succeed = SucceedTaskExecution(execution_id=execution, outputs={"o": 1})
    for command in (TASK, start, start, succeed, succeed):
        await world.command(command, id_=id_ if command is TASK else str(uuid7()))
        await world.settled()
    await world.command(succeed, id_=(again := str(uuid7())), reply=True)
    assert await types(world, execution) == ["TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionSucceeded"]
    (reply,) = await world.replies(again)
    assert (reply["outcome"], reply["taskExecution"]["outputs"]) == ("duplicate", {"o": 1})


async def test_a_late_duplicate_is_told_what_the_first_asker_was_told(world: World) -> None:
    execution = execution_id(id_ := str(uuid7()))
    await world.command(TASK, id_=id_, reply=True)
    await world.settled()
    await world.command(StopTaskExecution(execution_id=execution))
    await world.settled()
    await world.command(TASK, id_=id_, reply=True)
    await world.settled()
    first, second = [reply["taskExecution"] for reply in await world.replies(id_)]
    assert first == second
    assert first["status"] == "PENDING"


async def test_commands_of_one_batch_see_what_those_before_them_did(world: World, running: Running) -> None:
    """Held back until they are in the queue together."""
    execution = execution_id(id_ := str(uuid7()))
    opened = [one for one in running.owners.values() if one.is_open]
    for one in opened:
        running.group._consumer.pause(one.tp)  # type: ignore[union-attr]
    for command in (TASK, TASK, StartTaskExecution(execution_id=execution), StopTaskExecution(execution_id=execution)):
        await world.command(command, id_=id_ if command is TASK else str(uuid7()), key=execution.encode())
    for one in opened:
        running.group._consumer.resume(one.tp)  # type: ignore[union-attr]
    assert await types(world, execution) == ["TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionStopped"]
    records = await world.events(execution)
    assert [body(record)["sequence"] for record in records] == [1, 2, 3]
    assert len(await world.snapshots(execution)) <= len(records)


async def test_source_and_id_name_a_command_of_one_execution(world: World) -> None:
    """Each execution remembers its own commands: the same id for another one is another command."""
    ids = [str(uuid7()) for _ in range(2)]
    shared = str(uuid7())
    for id_ in ids:
        await world.command(TASK, id_=id_)
    await world.settled()
    for id_ in ids:
        await world.command(StartTaskExecution(execution_id=execution_id(id_)), id_=shared)
    await world.command(TASK, id_=shared)
    for id_ in ids:
        assert await types(world, execution_id(id_)) == ["TaskExecutionCreated", "TaskExecutionStarted"]
    assert await types(world, execution_id(shared)) == ["TaskExecutionCreated"]
    stop = StopTaskExecution(execution_id=execution_id(ids[0]))
    place = await world.command(stop, id_=shared, partition=owner(execution_id(ids[0])))
    await world.settled()
    assert [item["problem"]["code"] for item in await world.rejections(place)] == ["idempotency_conflict"]
