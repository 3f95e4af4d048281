"""All that one decision says happens together and once: several events, a command that follows, a timer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from service.contracts.commands import StartTaskExecution, SucceedTaskExecution
from service.contracts.envelope import SOURCE
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.decided import Decision, Request
from service.domain.decision import decide
from service.domain.execution import folded
from service.handling import handler
from service.handling.handler import utc_now
from tests.faults.conftest import TASK
from tests.handling.world import Running, World, body, eventually, execution_id, header, id_owned_by
from tests.ids import hash_of, id_of

PARTITION = 2
RETENTION = timedelta(seconds=1)
PLANTED = "planted"


def decide_more(state: Any, request: Request, definition: Any, kept: timedelta | None, seal: Any) -> Decision:
    """To start a planted one is to end it at once, and to execute another task."""
    first = decide(state, request, definition, kept, seal)
    if not isinstance(request.command, StartTaskExecution) or first.repeats:
        return first
    succeed = SucceedTaskExecution(execution_id=request.command.execution_id, outputs={})
    then = Request(succeed, id_of(PLANTED), hash_of(PLANTED), request.source, request.at)
    second = decide(first.state, then, definition, kept, seal)
    last = [replace(event, command_id=request.command_id, command_hash=request.command_hash) for event in second.events]
    return Decision((*first.events, *last), folded(state, (*first.events, *last)), (TASK,), second.timers)


@asynccontextmanager
async def planted(world: World, **changes: Any) -> AsyncIterator[tuple[Running, str]]:
    """A handler that decides so, and the `ce_id` of an execution to start."""
    id_ = id_owned_by(PARTITION)
    async with world.handler(**changes) as running:
        await running.all_open()
        await world.command(TASK, id_=id_, partition=PARTITION)
        await world.settled()
        yield running, id_


async def follow_ups(world: World, id_: str) -> list[str]:
    """The ids of the commands that this execution's commands have caused: they tell where those stand."""
    records = await world.read(COMMANDS_TOPIC)
    causes = [record for record in records if header(record, "ce_id") == f"start {id_}"]
    places = {f"{record.topic}/{record.partition}/{record.offset}/1" for record in causes}
    return [found for record in records if (found := header(record, "ce_id") or "") in places]


@pytest.mark.parametrize("method", [None, "send_offsets_to_transaction", "send_batch", "commit_transaction"])
async def test_several_events_and_a_command_that_follows_happen_once(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch, method: str | None
) -> None:
    """Also when the first transaction fails after this call, or after having been committed unbeknown."""
    monkeypatch.setattr("service.handling.deciding.decide", decide_more)
    async with planted(world) as (running, id_):
        started = execution_id(id_)
        if method is not None:
            (producer,) = producers.of(PARTITION)
            call = getattr(producer, method)

            async def failing(*arguments: Any, **options: Any) -> Any:
                await call(*arguments, **options)
                raise ValueError

            setattr(producer, method, failing)
        start = StartTaskExecution(execution_id=started)
        await world.command(start, id_=f"start {id_}", reply=True, partition=PARTITION)
        await world.settled()
        opened = 1 if method is None else 2
        await eventually(lambda: len(producers.of(PARTITION)) == opened, "it is opened again after the failure only")
        await running.all_open()
        assert started in running.states(PARTITION)
    events = await world.events(started)
    assert [header(event, "ce_type") for event in events] == [
        "TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionSucceeded"
    ]  # fmt: skip
    (reply,) = await world.replies(f"start {id_}")
    if reply["outcome"] == "accepted":
        assert reply["position"] == {"partition": PARTITION, "offset": events[-1].offset}
    else:  # committed unbeknown, so that its second time is a duplicate
        assert method == "commit_transaction"
    assert reply["taskExecution"]["status"] == "SUCCESS"
    (caused,) = await follow_ups(world, id_)
    assert len(await world.events(execution_id(caused, SOURCE))) == 1
    assert [body(event)["sequence"] for event in events] == [1, 2, 3]


async def test_an_idle_partition_forgets_by_its_timer_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command comes after the one that set the timer."""
    monkeypatch.setattr("service.handling.deciding.decide", decide_more)
    monkeypatch.setattr(handler, "FORGET_AFTER_DROP", timedelta(0))
    times = [utc_now()]
    async with planted(world, clock=lambda: times[-1], retention=RETENTION) as (running, id_):
        started = execution_id(id_)
        await world.command(StartTaskExecution(execution_id=started), partition=PARTITION)
        await world.settled()
        committed = [await world.committed(partition) for partition in range(4)]
        assert getattr(running.states(PARTITION)[started], "status", None) == "SUCCESS"
        times.append(times[-1] + RETENTION + timedelta(milliseconds=1))
        await eventually(lambda: started not in running.states(PARTITION), "it is forgotten")
        snapshots = await world.snapshots(started)
        assert [record.value is None for record in snapshots] == [False, False, True]
        assert [await world.committed(partition) for partition in range(4)] == committed
    async with world.handler(retention=RETENTION) as running:
        await running.all_open()
        assert started not in running.states(PARTITION)
