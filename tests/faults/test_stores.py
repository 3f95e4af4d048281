"""The state on this machine's disk: what is committed is in it or in the topic, whatever dies."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from service.contracts.topics import STATE_TOPIC
from service.handling import restoring, states
from service.handling.state_store import StateStore, StoreError
from tests.faults.conftest import TASK
from tests.handling.world import QUICK, World, eventually, execution_id, id_owned_by

PARTITION = 1


async def executed(world: World, number: int = 5) -> list[str]:
    """Execute the task so often, on our partition; the ids of the commands."""
    ids = [id_owned_by(PARTITION) for _ in range(number)]
    for id_ in ids:
        await world.command(TASK, id_=id_, partition=PARTITION)
    await world.settled()
    return ids


async def assert_repeated(world: World, ids: list[str]) -> None:
    """All of these are known: to send them again makes no event."""
    for id_ in ids:
        await world.command(TASK, id_=id_, partition=PARTITION, reply=True)
    await world.settled()
    for id_ in ids:
        assert [reply["outcome"] for reply in await world.replies(id_)] == ["duplicate"]
        assert len(await world.events(execution_id(id_))) == 1


@pytest.fixture
def read() -> Iterator[list[int]]:
    """How many records each restore of our partition has read."""
    counts: list[int] = []
    original = restoring.StoreRecords.of

    def of(self: Any, found: Any) -> Any:
        batch = [*found]
        counts.append(len(batch))
        return original(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restoring.StoreRecords, "of", of)
        yield counts


async def test_after_a_good_end_nothing_is_read_again(world: World, tmp_path: Path, read: list[int]) -> None:
    async with world.handler(state_dir=tmp_path) as running:
        await running.all_open()
        ids = await executed(world)
    read.clear()
    async with world.handler(state_dir=tmp_path) as running:
        await running.all_open()
        assert sum(read) == 0
        await assert_repeated(world, ids)


async def test_after_a_kill_the_topic_s_tail_is_read(
    world: World, tmp_path: Path, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was not closed is an older one: what it lacks comes from the topic."""
    async with world.handler(state_dir=tmp_path) as running:
        await running.all_open()
        ids = await executed(world)
    with monkeypatch.context() as patch:
        patch.setattr(states.States, "_write", lambda _: None)
        async with world.handler(state_dir=tmp_path) as running:
            await running.all_open()
            ids += await executed(world, 3)
    read.clear()
    async with world.handler(state_dir=tmp_path) as running:
        await running.all_open()
        assert 3 <= sum(read) <= 8  # the states, and a position for each transaction
        await assert_repeated(world, ids)
        assert len(running.states(PARTITION).keys() & set(map(execution_id, ids))) == 8


async def test_a_store_that_cannot_be_written_closes_its_partition_until_it_can(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after a commit: what was committed is remembered all the same, and no record is blamed."""
    monkeypatch.setattr(states, "MAX_UNWRITTEN", 1)
    full = True
    original = StateStore.write

    def write(self: StateStore, found: Any, mark: Any) -> None:
        if full:
            raise StoreError("No space left on device")
        original(self, found, mark)

    async with world.handler(state_dir=tmp_path) as running:
        await running.all_open()
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(StateStore, "write", write)
            id_ = id_owned_by(PARTITION)
            await world.command(TASK, id_=id_, partition=PARTITION)
            owner = running.owners[PARTITION]
            await eventually(lambda: not owner.is_open and "No space left" in (owner.flaw() or ""), "it says so")
            full = False
            await running.all_open()
        assert {line["event"] for line in logs if line["log_level"] != "info"} >= {"partition_reset"}
        await assert_repeated(world, [id_])
        assert len(await world.events(execution_id(id_))) == 1


async def test_a_restore_takes_as_long_as_it_takes_but_silence_ends_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is longer than an opening may be silent; other partitions are open meanwhile, and it says how far it is."""
    async with world.handler() as running:
        await running.all_open()
        ids = await executed(world, 20)
    original, slow_reads = AIOKafkaConsumer.getmany, iter(range(12))
    ours = {TopicPartition(STATE_TOPIC, PARTITION)}

    async def slowly(self: Any, *tps: Any, **options: Any) -> Any:
        restores = options.get("max_records") == restoring.CHUNK and self.assignment() == ours
        if restores and next(slow_reads, None) is not None:
            await asyncio.sleep(1)
            options["max_records"] = 1
        return await original(self, *tps, **options)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", slowly)
    timeouts = replace(QUICK, opening=10)
    with capture_logs() as logs:
        async with world.handler(state_dir=tmp_path, timeouts=timeouts) as running:
            await running.all_open({0, 2, 3})
            owner = running.owners[PARTITION]
            assert not owner.is_open
            await eventually(lambda: "offsets" in (owner.flaw() or ""), "it says how far it is")
            await running.all_open()
            await assert_repeated(world, ids)
    resets = [line for line in logs if line["event"] == "partition_reset"]
    assert resets == []
