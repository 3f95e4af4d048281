"""Writes the states to their owners, for a rebuild, and reads them back."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import COMMANDS_TOPIC, STATE_TOPIC
from service.handling.batches import Batches, Outgoing
from service.handling.producer import start_producer, stop_producer
from service.handling.snapshots import POSITION_KEY, execution_id_of, is_state_key
from service.handling.state_store import StateStore
from service.handling.timeouts import Timeouts
from service.handling.whole_topics import CHUNK, RebuildError, reading
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.ports.progress import Tell


async def fence(kafka: Kafka, partitions: int) -> None:
    """End the transactions of whoever owned the partitions: what is committed by now is all that they did."""
    for number in range(partitions):
        async with _producer(kafka, number):
            pass


@asynccontextmanager
async def owners(kafka: Kafka, partitions: int) -> AsyncIterator[list[AIOKafkaProducer]]:
    """A producer for each partition, with the name of its owner's: one that still works can't write beside us."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_producer(kafka, number)) for number in range(partitions)]


async def write_states(  # noqa: PLR0913 - all that is written, and by whom
    kafka: Kafka,
    producers: Sequence[AIOKafkaProducer],
    store: StateStore,
    positions: Sequence[int],
    at: Timestamp,
    *,
    tell: Tell,
) -> None:
    """Write the states to their owners' partitions, one for each position, and last these."""
    total, done = store.count, 0
    waiting: dict[int, list[Outgoing]] = defaultdict(list)
    async for key, value in _states(store):
        owner = partition_of(execution_id_of(key).encode(), len(positions))
        waiting[owner].append(Outgoing(key, value, [], epoch_ms(at)))
        if len(waiting[owner]) == CHUNK:
            await _commit(kafka, producers[owner], owner, waiting.pop(owner))
            done += CHUNK
            tell("Writing states", min(done, total), total)
    for number, (producer, position) in enumerate(zip(producers, positions, strict=True)):
        last = Outgoing(POSITION_KEY, b"%d" % position, [], epoch_ms(at))
        await _commit(kafka, producer, number, [*waiting[number], last], position)
    tell("Writing states", total, total)


async def verify_states(kafka: Kafka, partitions: int, store: StateStore, tell: Tell) -> int:
    """Read back what was written, and compare all of it; returns how many executions there are.

    Raises:
        RebuildError: something is missing, or another.
    """
    count = 0
    tps = [kafka.partition(STATE_TOPIC, number) for number in range(partitions)]
    async for records in reading(kafka, tps, "Verifying", tell):
        written = {record.key or b"": record.value for record in records if is_state_key(record.key or b"")}
        if written and store.get([*written]) != [*written.values()]:
            raise RebuildError("What was written is not what is there. Does anything else write? Begin again.")
        count += len(written)
    expected = 0
    async for _ in _states(store):
        expected += 1
    if count != expected:
        raise RebuildError(f"{expected} states were written, and {count} are there. Begin again.")
    return count


async def _states(store: StateStore) -> AsyncIterator[tuple[bytes, bytes]]:
    for number, (key, value) in enumerate(store.items()):
        if number % CHUNK == 0:
            await asyncio.sleep(0)
        if is_state_key(key):
            yield key, value


@asynccontextmanager
async def _producer(kafka: Kafka, partition: int) -> AsyncIterator[AIOKafkaProducer]:
    timeouts = Timeouts()
    producer = await start_producer(kafka, kafka.transactional_id(partition), timeouts)
    try:
        yield producer
    finally:
        await stop_producer(producer, timeouts)


async def _commit(
    kafka: Kafka, producer: AIOKafkaProducer, partition: int, records: Iterable[Outgoing], position: int | None = None
) -> None:
    batches = Batches(producer.create_batch, kafka.topic)
    for record in records:
        batches.put(STATE_TOPIC, partition, record)
    await producer.begin_transaction()
    if position is not None:
        source: dict[Any, int] = {kafka.partition(COMMANDS_TOPIC, partition): position}
        await producer.send_offsets_to_transaction(source, kafka.group)
    await batches.send(producer)
    await producer.commit_transaction()
