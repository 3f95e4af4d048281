"""What a reply says: the outcome, the execution as that command left it, where its event stands, and whose trace."""

import pytest
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import ExecuteTask, StartTaskExecution, StopTaskExecution, SucceedTaskExecution
from service.contracts.topics import COMMANDS_TOPIC, REJECTIONS_TOPIC, REPLIES_TOPIC
from tests.handling.world import HeaderPairs, Running, World, execution_id, header, id_owned_by, owner

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="contents:task", task_version="1.0.0", inputs={})
TRACE: HeaderPairs = [
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", b"vendor=1"),
]


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    await world.define({"taskId": "contents:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})


async def carry_out(world: World, *commands: BaseModel, id_: str | None = None) -> list[str]:
    """Send them one after the other, each with a reply; returns their ids. `id_` is the first one's."""
    ids = [str(uuid7()) for _ in commands]
    ids[0] = id_ or ids[0]
    for command, its in zip(commands, ids, strict=True):
        await world.command(command, id_=its, reply=True)
        await world.settled()
    return ids


async def test_the_position_is_the_place_of_the_event(world: World) -> None:
    execution = execution_id(id_ := str(uuid7()))
    ids = await carry_out(
        world,
        TASK,
        StartTaskExecution(execution_id=execution),
        SucceedTaskExecution(execution_id=execution, outputs={}),
        id_=id_,
    )
    events = await world.events(execution)
    assert len(events) == len(ids)
    for event, asked in zip(events, ids, strict=True):
        (reply,) = await world.replies(asked)
        assert reply["outcome"] == "accepted"
        assert reply["position"] == {"partition": owner(execution), "offset": event.offset}
        assert event.partition == owner(execution)


async def test_positions_are_right_within_one_batch(world: World, running: Running) -> None:
    """Accepted, refused and repeated ones, with and without a reply, held back until they are in the queue together."""
    place = running.owners[2]
    consumer = running.group._consumer
    assert consumer is not None
    consumer.pause(place.tp)
    ids = [id_owned_by(2) for _ in range(6)]
    unknown = TASK.model_copy(update={"task_id": "contents:unknown"})
    for number, id_ in enumerate(ids):
        await world.command(unknown, reply=True, partition=2, id_=id_owned_by(2))
        for _ in range(2):
            await world.command(TASK, id_=id_, reply=number % 2 == 0, partition=2)
    consumer.resume(place.tp)
    await world.settled()
    for number, id_ in enumerate(ids):
        (event,) = await world.events(execution_id(id_))
        outcomes = [(reply["outcome"], reply["position"]["offset"]) for reply in await world.replies(id_)]
        if number % 2 == 0:
            accepted, duplicate = outcomes
            assert accepted == ("accepted", event.offset)
            assert duplicate[0] == "duplicate"
            assert duplicate[1] >= event.offset
        else:
            assert not outcomes


async def test_a_late_start_is_told_that_it_ran_as_the_first_one_was(world: World) -> None:
    execution = execution_id(id_ := str(uuid7()))
    start = StartTaskExecution(execution_id=execution)
    succeed = SucceedTaskExecution(execution_id=execution, outputs={})
    _, started, _ = await carry_out(world, TASK, start, succeed, id_=id_)
    await carry_out(world, start, id_=started)
    first, second = await world.replies(started)
    assert (first["outcome"], second["outcome"]) == ("accepted", "duplicate")
    assert first["taskExecution"] == second["taskExecution"]
    assert second["taskExecution"]["status"] == "RUNNING"
    (another,) = await carry_out(world, start)
    (refused,) = await world.replies(another)
    assert (refused["problem"]["code"], refused["problem"]["currentStatus"]) == ("invalid_transition", "SUCCESS")


async def test_a_stop_by_somebody_else_finds_it_stopped_already(world: World) -> None:
    execution = execution_id(id_ := str(uuid7()))
    mine = StopTaskExecution(execution_id=execution, requested_by="me", reason="mine")
    theirs = StopTaskExecution(execution_id=execution, requested_by="they", reason="theirs")
    _, first, second = await carry_out(world, TASK, mine, theirs, id_=id_)
    (accepted,), (duplicate,) = await world.replies(first), await world.replies(second)
    assert (accepted["outcome"], duplicate["outcome"]) == ("accepted", "duplicate")
    assert accepted["taskExecution"] == duplicate["taskExecution"]
    assert len(await world.events(execution)) == 2


@pytest.mark.parametrize("partition", [0, 1])
async def test_the_trace_goes_on_in_event_reply_and_rejection(world: World, partition: int) -> None:
    """Also where the command was forwarded on its way: its owner is partition 0."""
    good, bad = id_owned_by(0), id_owned_by(0)
    await world.command(TASK, id_=good, reply=True, headers=TRACE, partition=partition)
    unknown = TASK.model_copy(update={"task_id": "contents:unknown"})
    await world.command(unknown, id_=bad, reply=True, headers=TRACE, partition=partition)
    await world.settled()
    (handled,) = [
        item for item in await world.read(COMMANDS_TOPIC) if header(item, "ce_id") == bad and item.partition == 0
    ]
    records = await world.events(execution_id(good))
    records += [
        item
        for item in await world.read(REPLIES_TOPIC)
        if header(item, "correlation_id") in {f"re:{good}", f"re:{bad}"}
    ]
    place = f"{COMMANDS_TOPIC}/{handled.partition}/{handled.offset}"
    records += [item for item in await world.read(REJECTIONS_TOPIC) if header(item, "ce_id") == place]
    assert len(records) == 4
    for record in records:
        assert [pair for pair in record.headers if pair[0].startswith("trace")] == TRACE


async def test_a_trace_that_is_none_is_left_out(world: World) -> None:
    id_ = str(uuid7())
    await world.command(TASK, id_=id_, reply=True, headers=[("traceparent", b"t" * (MAX_ATTRIBUTE + 1))])
    await world.settled()
    (event,) = await world.events(execution_id(id_))
    (reply,) = [item for item in await world.read(REPLIES_TOPIC) if header(item, "correlation_id") == f"re:{id_}"]
    for record in (event, reply):
        assert "traceparent" not in dict(record.headers)
