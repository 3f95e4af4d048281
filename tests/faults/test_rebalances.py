"""Partitions move between handlers, or come straight back: nothing is lost, nothing is handled twice, nothing hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.topics import COMMANDS_TOPIC, HANDLER_GROUP
from service.handling.producer import start_producer, stop_producer
from tests.handling.world import PARTITIONS, QUICK, SECONDS, Running, World, eventually

ALL = [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]


async def refused(world: World, number: int) -> tuple[int, int]:
    """Write a command whose every handling leaves one more rejection: idempotency can't hide the second."""
    return await world.command({}, "NoSuchCommand", partition=number)


async def assert_handled_once(world: World, places: list[tuple[int, int]]) -> None:
    await world.settled()
    assert [len(await world.rejections(place)) for place in places] == [1] * len(places)


class Gate:
    """Stops a call before it begins: `reached` says so, `open` lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> None:
        self.reached, self.open, self.passed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        original = getattr(target, name)

        async def held(*arguments: object) -> object:
            self.reached.set()
            await self.open.wait()
            result = await original(*arguments)
            self.passed.set()
            return result

        monkeypatch.setattr(target, name, held)


async def comes_straight_back(running: Running) -> None:
    await running.group.on_partitions_revoked(ALL)
    await running.group.on_partitions_assigned(ALL)


async def is_opened_again(running: Running) -> None:
    owner = running.owners[1]
    epoch = owner.epoch
    owner.fail(KafkaError("injected"))
    await eventually(lambda: owner.is_open and owner.epoch != epoch, "the partition is opened again")


@pytest.mark.parametrize("moves", [comes_straight_back, is_opened_again])
async def test_what_was_fetched_before_an_opening_is_not_handled_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch, moves: Callable[[Running], Awaitable[None]]
) -> None:
    """FastStream yields between getmany() and the handler; the new epoch fetches the same records itself."""
    async with world.handler() as running:
        await running.all_open()
        dispatch = Gate(monkeypatch, running.group.subscriber, "process_message")
        place = await refused(world, 1)
        await dispatch.reached.wait()
        await moves(running)
        dispatch.open.set()
        await assert_handled_once(world, [place, await refused(world, 1)])


async def test_a_parked_partition_takes_nothing_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.handler() as running:
        await running.all_open()
        dispatch = Gate(monkeypatch, running.group.subscriber, "process_message")
        place = await refused(world, 1)
        await dispatch.reached.wait()
        await running.group.on_partitions_revoked(ALL)
        dispatch.open.set()
        await dispatch.passed.wait()
        assert [len(owner.queue) for owner in running.owners.values()] == [0] * PARTITIONS
        await running.group.on_partitions_assigned(ALL)
        await assert_handled_once(world, [place])


async def test_what_comes_straight_back_keeps_producer_state_and_place(world: World) -> None:
    foreigner = await start_producer(world.kafka, "a-foreigner", QUICK)
    async with world.handler() as first:
        await first.all_open()
        places = [await refused(world, number) for number in range(PARTITIONS)]
        await world.settled()
        await foreigner.begin_transaction()  # where the group believes to be is not where the state is
        await foreigner.send_offsets_to_transaction(dict.fromkeys(ALL, 0), HANDLER_GROUP)
        await foreigner.commit_transaction()
        before = {number: (owner, owner._opened) for number, owner in first.owners.items()}
        async with world.handler() as second:
            await eventually(lambda: len(second.owners) == PARTITIONS // 2, "the second handler has its share")
            await second.all_open(second.owners)
            await first.all_open(kept := set(first.owners))
            assert kept | set(second.owners) == set(range(PARTITIONS))
            places += [await refused(world, number) for number in range(PARTITIONS) for _ in range(10)]
        await eventually(lambda: len(first.owners) == PARTITIONS, "the first handler has everything again")
        await first.all_open()
        for number in kept:
            owner = first.owners[number]
            assert (owner, owner._opened) == before[number]
        await assert_handled_once(world, places + [await refused(world, number) for number in range(PARTITIONS)])
    await stop_producer(foreigner, QUICK)


async def test_a_revocation_lets_the_transaction_in_flight_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.handler(timeouts=replace(QUICK, revoke=20)) as running:
        owner = (await running.all_open()).owners[1]
        commit = Gate(monkeypatch, owner._opened._producer, "commit_transaction")
        place = await refused(world, 1)
        await commit.reached.wait()
        revoking = asyncio.create_task(running.group.on_partitions_revoked(ALL))
        await eventually(lambda: not owner.is_open, "the partition is parked")
        assert not revoking.done()
        commit.open.set()
        await revoking
        assert commit.passed.is_set()
        await running.group.on_partitions_assigned(ALL)
        assert running.owners[1] is owner
        await assert_handled_once(world, [place])


async def test_a_transaction_that_does_not_end_in_time_loses_its_partition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.handler(timeouts=replace(QUICK, transaction=600)) as running:
        owner = (await running.all_open()).owners[1]
        commit = Gate(monkeypatch, owner._opened._producer, "commit_transaction")
        place = await refused(world, 1)
        await commit.reached.wait()
        async with asyncio.timeout(SECONDS):
            await comes_straight_back(running)
        assert running.owners[1] is not owner
        await assert_handled_once(world, [place])
        assert not commit.passed.is_set()


async def test_a_handler_that_stops_leaves_no_transaction_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka does not call on_partitions_revoked then; the coordinator would take 20 s to end the transaction."""

    async def commit_while_it_stops() -> None:
        await eventually(lambda: stopping.group._stopping, "the owners are being closed")
        commit.open.set()

    async with world.handler() as stopping:
        owner = (await stopping.all_open()).owners[2]
        commit = Gate(monkeypatch, owner._opened._producer, "commit_transaction")
        places = [await refused(world, 2) for _ in range(20)]
        await commit.reached.wait()
        committing = asyncio.create_task(commit_while_it_stops())
    tps = list(world.positions)
    assert await world.reader.end_offsets(tps) == await world.probe.end_offsets(tps)
    assert committing.done()
    assert commit.passed.is_set()
    async with world.handler():
        await assert_handled_once(world, places)
