"""Executions of several partitions that wait for each other, while transactions fail, handlers come and go."""

import asyncio
import itertools
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from service.contracts.commands import (
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
)
from service.contracts.dependencies import Dependency
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC
from tests.faults.conftest import TASK_ID, Producers
from tests.handling.world import PARTITIONS, World, body, execution_id, header

WIDE = 2_500
"""More than are told in one transaction."""


ENDED = {"TaskExecutionSkipped", "TaskExecutionStopped"}
SKIPPED = ("TaskExecutionCreated", "TaskExecutionSkipped")


def waiting(*upstream: str) -> ExecuteTask:
    """A command that waits for the executions of these ids."""
    waits = tuple(Dependency(execution_id=execution_id(id_), node=id_) for id_ in upstream)
    return ExecuteTask(task_id=TASK_ID, task_version="1.0.0", inputs={}, depends_on=waits)


async def types_of(world: World) -> dict[str, list[str]]:
    """By executionId, the types of its events."""
    found: dict[str, list[str]] = {}
    for record in await world.read(EVENTS_TOPIC):
        found.setdefault((record.key or b"").decode(), []).append(header(record, "ce_type") or "")
    return found


async def skipped(world: World, executions: list[str]) -> None:
    """Return once all of these are."""
    async with asyncio.timeout(60):
        found = await types_of(world)
        while not all("TaskExecutionSkipped" in found.get(id_, ()) for id_ in executions):
            await asyncio.sleep(0.1)
            found = await types_of(world)


def failing_now_and_then(producers: Producers, seed: int) -> None:
    """Of the transactions, some fail before they are committed, and some unbeknown after."""
    random = Random(seed)  # noqa: S311 - reproducible, not secret

    async def prepare(_: int, producer: Any) -> None:
        commit = producer.commit_transaction

        async def fails() -> None:
            chance = random.random()
            if chance < 0.05:
                raise KafkaConnectionError
            await commit()
            if chance > 0.95:
                raise KafkaConnectionError

        producer.commit_transaction = fails

    producers.prepare = prepare


async def test_all_downstream_of_a_failure_are_skipped_once_whatever_fails_meanwhile(
    world: World, producers: Producers
) -> None:
    """A graph over all partitions: `top`, some that wait for it in layers, and one that waits for all of a layer."""
    failing_now_and_then(producers, 7)
    names = [["top"], *([f"{layer}-{number}" for number in range(30)] for layer in range(1, 6))]
    async with world.handler() as first:
        for above, layer in itertools.pairwise(names):
            for number, name in enumerate(layer):
                await world.command(waiting(*{above[number % len(above)], above[-1]}), id_=name)
        await world.command(waiting(*names[-1]), id_="bottom")
        await world.command(waiting(), id_="top")  # the last one, though all wait for it
        await world.settled()
        await world.command(StartTaskExecution(execution_id=execution_id("top")))
        await world.settled()
        await world.command(FailTaskExecution(execution_id=execution_id("top"), error_message="disk full"))
        async with world.handler():
            await asyncio.sleep(1)
        await first.all_open()
        all_ = [execution_id(name) for layer in names[1:] for name in layer] + [execution_id("bottom")]
        await skipped(world, all_)
        await world.settled()
    found = await types_of(world)
    assert {tuple(found[id_]) for id_ in all_} == {SKIPPED}
    reasons = {body((await world.events(id_))[-1])["skipReason"] for id_ in all_[:30]}
    assert reasons == {"upstream_failed: top"}
    assert sum(map(len, producers.started.values())) > PARTITIONS


async def test_many_that_wait_are_told_in_several_transactions_and_others_go_on(
    world: World, producers: Producers
) -> None:
    names = [f"wide {number}" for number in range(WIDE)]
    async with world.handler() as running:
        await running.all_open()
        await world.command(waiting(), id_="wide")
        value = waiting("wide").model_dump_json(exclude_none=True).encode()
        for name in names:
            attributes = {"ce_specversion": "1.0", "ce_type": "ExecuteTask", "ce_source": "/tests", "ce_id": name}
            world.producer.produce(COMMANDS_TOPIC, value, execution_id(name).encode(), headers=attributes)
        await world.settled()
        failing_now_and_then(producers, 3)
        await world.command(StopTaskExecution(execution_id=execution_id("wide")))
        await skipped(world, [execution_id(name) for name in names])
        await world.settled()
    found = await types_of(world)
    assert {tuple(found[execution_id(name)]) for name in names} == {SKIPPED}


async def test_a_lost_worker_s_execution_fails_once_also_when_nobody_was_there_to_notice(world: World) -> None:
    lost, alive = execution_id("lost"), execution_id("alive")
    lease = timedelta(seconds=2)
    async with world.handler() as running:
        await running.all_open()
        for id_, execution in (("lost", lost), ("alive", alive)):
            await world.command(waiting(), id_=id_)
            await world.settled()
            await world.command(StartTaskExecution(execution_id=execution, owner=id_, lease=lease))
        await world.settled()
    await asyncio.sleep(2.5)  # nobody listens: neither is lost by that
    await world.command(HeartbeatTaskExecution(execution_id=alive, owner="alive"))
    async with world.handler() as first:
        await first.all_open()
        async with asyncio.timeout(30):
            while "TaskExecutionFailed" not in (await types_of(world))[lost]:
                await world.command(HeartbeatTaskExecution(execution_id=alive, owner="alive"))
                await asyncio.sleep(0.2)
    async with world.handler() as second:
        await second.all_open()
        await asyncio.sleep(0.5)
        await world.settled()
    found = await types_of(world)
    assert found[lost] == ["TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionFailed"]
    assert found[alive] == ["TaskExecutionCreated", "TaskExecutionStarted"]
    (failed,) = [body(record) for record in await world.events(lost) if body(record)["status"] == "FAILURE"]
    assert failed["errorMessage"] == f"worker lost: nothing was heard of lost for {lease}"


@pytest.mark.parametrize("length", [2, 5])
async def test_a_cycle_never_starts_and_does_not_stay(world: World, length: int) -> None:
    """All of it is sent at once, so that no partition knows all of it before it is there."""
    names = [f"cycle of {length}, {number}" for number in range(length)]
    refused_before = len(await world.read(REJECTIONS_TOPIC))
    async with world.handler() as running:
        await running.all_open()
        for number, name in enumerate(names):
            await world.command(waiting(names[(number + 1) % length]), id_=name)

        async def state() -> list[str]:
            found = await types_of(world)
            return [found.get(execution_id(name), ["none"])[-1] for name in names]

        await world.settled()
        async with asyncio.timeout(30):
            while "none" not in await state() and not {*await state()} <= ENDED:
                await asyncio.sleep(0.05)
        await world.settled()
    # Where the one that closes it was refused, the others wait for it: it may still come, and wait for something else.
    refused = [body(record)["problem"]["code"] for record in await world.read(REJECTIONS_TOPIC)]
    assert refused[refused_before:].count("dependency_cycle") == (await state()).count("none")
    found = await types_of(world)
    assert not [name for name in names if "TaskExecutionStarted" in found.get(execution_id(name), ())]
