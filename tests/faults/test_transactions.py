"""Whatever goes wrong in a transaction, and wherever: everything is thrown away, opened again, and happens once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC
from service.handling.handler import HandlerOptions
from tests.handling.world import PARTITIONS, QUICK, World, eventually

PARTITION = 2
Call = Callable[..., Awaitable[Any]]


class InjectedError(Exception):
    """Not of Kafka's family, as any bug is."""


def before(call: Call) -> Call:
    async def failing(*_: Any, **__: Any) -> Any:
        raise InjectedError

    return failing


def after(call: Call) -> Call:
    async def failing(*arguments: Any, **options: Any) -> Any:
        await call(*arguments, **options)
        raise InjectedError

    return failing


def fenced(call: Call) -> Call:
    async def failing(*_: Any, **__: Any) -> Any:
        raise ProducerFenced

    return failing


def cancelled(call: Call) -> Call:
    async def failing(*_: Any, **__: Any) -> Any:
        raise asyncio.CancelledError

    return failing


def hanging(call: Call) -> Call:
    async def forever(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    return forever


def hanging_after(call: Call) -> Call:
    async def forever(*arguments: Any, **options: Any) -> Any:
        await call(*arguments, **options)
        await asyncio.Event().wait()

    return forever


def failed_future(call: Call) -> Call:
    """The events are not written, and only their future says so: the commit alone would succeed."""

    async def lost(builder: Any, topic: str, **options: Any) -> Any:
        if topic != EVENTS_TOPIC:
            return await call(builder, topic, **options)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(KafkaError("injected"))
        return future

    return lost


FAULTS = [
    ("begin_transaction", before),
    ("begin_transaction", after),
    ("begin_transaction", hanging),
    ("send_offsets_to_transaction", before),
    ("send_offsets_to_transaction", after),
    ("send_offsets_to_transaction", hanging_after),
    ("send_batch", before),
    ("send_batch", after),
    ("send_batch", failed_future),
    ("send_batch", hanging),
    ("commit_transaction", before),
    ("commit_transaction", after),
    ("commit_transaction", fenced),
    ("commit_transaction", cancelled),
    ("commit_transaction", hanging),
    ("commit_transaction", hanging_after),
]


@pytest.mark.parametrize(("method", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
async def test_a_fault_at_any_step_ends_in_exactly_once(
    world: World, producers: Any, write_batch: Any, method: str, fault: Callable[[Call], Call]
) -> None:
    timeouts = replace(QUICK, transaction=0.5)

    async def plant(number: int, producer: AIOKafkaProducer) -> None:
        if number == PARTITION and len(producers.of(number)) == 1:
            setattr(producer, method, fault(getattr(producer, method)))
        elif number == PARTITION:  # one that works may be slow
            object.__setattr__(timeouts, "transaction", QUICK.transaction)

    producers.prepare = plant
    batch = await write_batch(PARTITION)
    options = HandlerOptions(world.kafka, PARTITIONS, timeouts=timeouts)
    async with world.handler(options) as running:
        await batch.assert_exactly_once()
        await eventually(lambda: len(producers.of(PARTITION)) == 2, "the partition is opened again")
        first, second = producers.of(PARTITION)
        assert first is not second  # aborting and going on with the same producer is not safe
        assert first._closed
        more = await write_batch(PARTITION)
        await more.assert_exactly_once()
        assert len(producers.of(PARTITION)) == 2
        assert running.owners[PARTITION].is_open


async def test_offsets_are_sent_first_and_everything_else_when_they_are_acknowledged(
    world: World, producers: Any, write_batch: Any
) -> None:
    """Concurrently with produce requests, the coordinator answers CONCURRENT_TRANSACTIONS, each a back-off."""
    calls: list[str] = []

    async def watch(number: int, producer: AIOKafkaProducer) -> None:
        def watched(name: str, call: Call) -> Call:
            async def seen(*arguments: Any, **options: Any) -> Any:
                calls.append(name)
                result = await call(*arguments, **options)
                calls.append(f"{name} done")
                return result

            return seen

        for name in ("send_offsets_to_transaction", "send_batch", "commit_transaction"):
            if number == PARTITION:
                setattr(producer, name, watched(name, getattr(producer, name)))

    producers.prepare = watch
    async with world.handler():
        await (await write_batch(PARTITION)).assert_exactly_once()
    assert calls[:3] == ["send_offsets_to_transaction", "send_offsets_to_transaction done", "send_batch"]
    assert calls[-2:] == ["commit_transaction", "commit_transaction done"]


async def test_memory_changes_only_when_the_transaction_is_committed(
    world: World, producers: Any, write_batch: Any
) -> None:
    seen: list[tuple[int, int, int]] = []

    async def watch(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def looked_at() -> None:
            owner = running.owners[number]
            seen.append((number, owner._opened.states._offset, owner._opened.next_offset))
            await commit()

        producer.commit_transaction = looked_at

    producers.prepare = watch
    async with world.handler() as running:
        await running.all_open()
        opened = {number: owner._opened for number, owner in running.owners.items()}
        known = {number: (it.states._offset, it.next_offset) for number, it in opened.items()}
        await (await write_batch(PARTITION)).assert_exactly_once()
        number, *at_commit = seen[0]
        assert tuple(at_commit) == known[number]
        assert (opened[number].states._offset, opened[number].next_offset) > known[number]


async def test_a_producer_whose_stop_hangs_is_forced_and_the_partition_goes_on(
    world: World, producers: Any, write_batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plant(number: int, producer: AIOKafkaProducer) -> None:
        if number == PARTITION and len(producers.of(number)) == 1:
            producer.stop = hanging(producer.stop)
            producer.commit_transaction = before(producer.commit_transaction)

    producers.prepare = plant
    batch = await write_batch(PARTITION)
    async with world.handler():
        await batch.assert_exactly_once()
        first, _ = producers.of(PARTITION)
        assert first._sender.sender_task.done()
        assert not any(connection.connected() for connection in first.client._conns.values())
    monkeypatch.undo()
    await AIOKafkaProducer.stop(first)


@pytest.mark.parametrize("revoked", [False, True], ids=["it fails", "the partition is revoked"])
async def test_what_waits_behind_a_transaction_is_handled_once(world: World, producers: Any, revoked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    committing, release = asyncio.Event(), asyncio.Event()

    async def plant(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def held() -> None:
            committing.set()
            await release.wait()
            if not revoked:
                raise InjectedError
            await commit()

        if number == PARTITION and len(producers.of(number)) == 1:
            producer.commit_transaction = held

    producers.prepare = plant
    everything = [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]
    async with world.handler() as running:
        owner = (await running.all_open()).owners[PARTITION]
        places = [await world.write(b"{oops", partition=PARTITION)]
        await asyncio.wait_for(committing.wait(), 10)
        places += [await world.write(b"{oops", partition=PARTITION)]
        await eventually(lambda: len(owner.queue) == 1, "the second one waits")
        if revoked:
            revoking = asyncio.create_task(running.group.on_partitions_revoked(everything))
            await eventually(lambda: not owner.is_open, "it is parked")
            release.set()
            await revoking
            await running.group.on_partitions_assigned(everything)
        release.set()
        await world.settled()
        places += [await world.write(b"{oops", partition=PARTITION)]
        await world.settled()
    assert [len(await world.rejections(place)) for place in places] == [1, 1, 1]
