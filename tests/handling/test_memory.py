"""What the handler remembers, for how long, and what its clock may do. Each test runs handlers of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask, StartTaskExecution, StopTaskExecution, SucceedTaskExecution
from service.contracts.timestamps import Timestamp
from service.handling.handler import FORGET_AFTER_DROP, utc_now
from tests.handling.world import World, body, eventually, execution_id, header, id_owned_by

TASK = ExecuteTask(task_id="memory:task", task_version="1.0.0", inputs={})
RETENTION = timedelta(minutes=10)
KEPT = RETENTION + FORGET_AFTER_DROP


@pytest.fixture(scope="module", autouse=True)
async def definition(world: World) -> None:
    await world.define({"taskId": "memory:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})


@dataclass
class Clock:
    """A clock to be set."""

    now: Timestamp

    def __call__(self) -> Timestamp:
        return self.now


async def life(world: World, *commands: Any, partition: int = 2) -> str:
    """Execute a task and carry out these commands on it; returns the executionId."""
    id_ = id_owned_by(partition)
    await world.command(TASK, id_=id_)
    for command in commands:
        await world.settled()
        await world.command(command(execution_id(id_)))
    await world.settled()
    return execution_id(id_)


def start(execution: str) -> StartTaskExecution:
    return StartTaskExecution(execution_id=execution)


def succeed(execution: str) -> SucceedTaskExecution:
    return SucceedTaskExecution(execution_id=execution, outputs={})


def stop(execution: str) -> StopTaskExecution:
    return StopTaskExecution(execution_id=execution)


async def test_the_window_forgets_finished_executions_and_only_those(world: World) -> None:
    clock = Clock(utc_now() - timedelta(days=5))
    async with world.handler(clock=clock, retention=RETENTION) as running:
        await running.all_open()
        old, open_, running_ = await life(world, start, succeed), await life(world), await life(world, start)
        clock.now += KEPT
        recent = await life(world, stop)
        clock.now += timedelta(seconds=1)
        await life(world)
        states = running.states(2)
        assert old not in states
        assert {open_, running_, recent} <= set(states)
    assert [record.value is None for record in await world.snapshots(old)][-1]
    async with world.handler(clock=clock, retention=RETENTION) as running:
        await running.all_open()
        states = running.states(2)
        assert old not in states
        assert {open_, running_, recent} <= set(states)
        clock.now += KEPT
        await life(world)
        assert recent not in running.states(2)
        assert {open_, running_} <= set(running.states(2))
        await world.command(start(old), id_=(late := str(uuid7())), reply=True)
        await world.command(start(open_))
        await world.command(succeed(running_))
        await world.settled()
    (reply,) = await world.replies(late)
    assert reply["problem"]["code"] == "execution_not_found"
    assert [header(record, "ce_type") for record in await world.events(running_)][-1] == "TaskExecutionSucceeded"


async def test_a_restart_keeps_every_state_and_every_answer(world: World) -> None:
    ids = {name: id_owned_by(3) for name in ("pending", "running", "stopped")}
    async with world.handler() as running:
        await running.all_open()
        for id_ in ids.values():
            await world.command(TASK, id_=id_, reply=True)
        await world.settled()
        for name, command in (("running", start), ("stopped", stop)):
            await world.command(command(execution_id(ids[name])), id_=f"{name} {ids[name]}")
        await world.settled()
        states = {execution_id(id_): running.states(3)[execution_id(id_)] for id_ in ids.values()}
    async with world.handler() as running:
        await running.all_open()
        assert {key: running.states(3)[key] for key in states} == states
        for id_ in ids.values():
            await world.command(TASK, id_=id_, reply=True)
        await world.command(stop(execution_id(ids["stopped"])), id_=(again := str(uuid7())), reply=True)
        await world.command(succeed(execution_id(ids["running"])))
        await world.settled()
    for id_ in ids.values():
        first, second = await world.replies(id_)
        assert (first["outcome"], second["outcome"]) == ("accepted", "duplicate")
        assert first["taskExecution"] == second["taskExecution"]
    assert [reply["outcome"] for reply in await world.replies(again)] == ["duplicate"]
    counts = {name: len(await world.events(execution_id(id_))) for name, id_ in ids.items()}
    assert counts == {"pending": 1, "running": 3, "stopped": 2}


@pytest.mark.parametrize("restart", [False, True])
async def test_a_clock_that_jumps_back_makes_no_negative_duration(world: World, restart: bool) -> None:  # noqa: FBT001 - a parameter of the test
    clock = Clock(utc_now())
    id_ = id_owned_by(1)
    async with world.handler(clock=clock) as running:
        await running.all_open()
        await world.command(TASK, id_=id_)
        await world.settled()
        clock.now -= timedelta(hours=1)
        await world.command(start(execution_id(id_)))
        await world.settled()
        if not restart:
            clock.now -= timedelta(hours=1)
            await world.command(succeed(execution_id(id_)))
            await world.settled()
    if restart:
        clock.now -= timedelta(hours=1)
        async with world.handler(clock=clock) as running:
            await eventually(lambda: running.owners[1].is_open, "the partition is open")
            await world.command(succeed(execution_id(id_)))
            await world.settled()
    records = await world.events(execution_id(id_))
    assert len(records) == 3
    times = [datetime.fromisoformat(header(record, "ce_time") or "") for record in records]
    assert all(before <= after for before, after in pairwise(times))
    last = body(records[-1])
    assert last["createdAt"] <= last["startedAt"] <= last["completedAt"]
    assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)
