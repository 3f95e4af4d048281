"""Makes the state topic anew from the events, which have all of it: `taskexec state rebuild`.

For a state that was deleted or cut short, for commands that were made anew, and for more partitions: each state goes to
the owner that it has then. Begun again after a kill, it begins anew; no handler starts before it has ended.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.events import Event, UnknownEvent, read_event
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution, evolve
from service.handling.batches import Batches, Outgoing
from service.handling.producer import start_producer, stop_producer
from service.handling.restoring import until_ready
from service.handling.snapshots import (
    POSITION_KEY,
    decode_snapshot,
    encode_snapshot,
    execution_id_of,
    is_state_key,
    state_key,
)
from service.handling.state_store import Mark, StateStore
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.kafka.records import Record

CHUNK: Final = 1_000
_POLL_MS: Final = 500
_NOWHERE: Final = Mark("events", 0, 0)

Tell = Callable[[str, int, int], None]
"""Is told of each step: its name, how much of it is done, and of how much."""


class RebuildError(Exception):
    """The state cannot be rebuilt; the message says why, and what to do."""


async def fold_events(kafka: Kafka, partitions: int, store: StateStore, tell: Tell) -> None:
    """Put into an empty store what all events lead to.

    Raises:
        RebuildError: of an execution, an event is missing.
    """
    early: list[Event | UnknownEvent] = []
    tps = [kafka.partition(EVENTS_TOPIC, number) for number in range(partitions)]
    async for records in reading(kafka, tps, "Reading events", tell):
        early += await _fold(store, map(_event, records))
    # An execution that has moved has its first events in another partition, which may be read later.
    early = await _fold(store, sorted(early, key=lambda event: (event.execution_id, event.sequence)))
    if early:
        first = early[0]
        raise RebuildError(
            f"Of execution {first.execution_id}, event {first.sequence} is there and one before it is not: records "
            "were deleted from the events topic. Restore it from a backup."
        )


async def _fold(store: StateStore, events: Iterable[Event | UnknownEvent]) -> list[Event | UnknownEvent]:
    """Fold these into the store; those that come before their time are given back."""
    found = [*events]
    keys = [*{state_key(event.execution_id): None for event in found}]
    values = dict(zip(keys, store.get(keys), strict=True)) if keys else {}
    states: dict[bytes, Execution | None] = {
        key: None if value is None else decode_snapshot(execution_id_of(key), value) for key, value in values.items()
    }
    early = []
    for event in found:
        key = state_key(event.execution_id)
        state = states[key]
        known = 0 if state is None else state.sequence
        if event.sequence == known + 1:
            states[key] = evolve(state, event)
        elif event.sequence > known:
            early.append(event)
    await until_ready(store)
    changed = ((key, encode_snapshot(state)) for key, state in states.items() if state is not None)
    store.write(changed, _NOWHERE)
    return early


def _event(record: Record) -> Event | UnknownEvent:
    type_ = next((value for name, value in record.headers if name == "ce_type"), b"")
    return read_event(type_.decode(), record.value or b"")


async def write_states(kafka: Kafka, store: StateStore, positions: Sequence[int], at: Timestamp, tell: Tell) -> None:
    """Write the states to their owners' partitions, one for each position, and last these.

    The producers have the names of the owners': one that still works is fenced, and could not write beside us.
    """
    total, done, partitions = store.count, 0, len(positions)
    async with AsyncExitStack() as stack:
        producers = [await stack.enter_async_context(_producer(kafka, number)) for number in range(partitions)]
        waiting: dict[int, list[Outgoing]] = defaultdict(list)
        async for key, value in _states(store):
            owner = partition_of(execution_id_of(key).encode(), partitions)
            waiting[owner].append(Outgoing(key, value, [], epoch_ms(at)))
            if len(waiting[owner]) == CHUNK:
                await _commit(kafka, producers[owner], owner, waiting.pop(owner))
                done += CHUNK
                tell("Writing states", min(done, total), total)
        for number, producer in enumerate(producers):
            position = Outgoing(POSITION_KEY, b"%d" % positions[number], [], epoch_ms(at))
            await _commit(kafka, producer, number, [*waiting[number], position], positions[number])
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


async def reading(kafka: Kafka, tps: Sequence[TopicPartition], what: str, tell: Tell) -> AsyncIterator[list[Record]]:
    """All committed records of these partitions, one partition after the other, up to their ends as of now."""
    consumer = AIOKafkaConsumer(
        **kafka.options(), isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        total, done = sum(ends[tp] - begins[tp] for tp in tps), 0
        for tp in tps:
            consumer.assign([tp])
            consumer.seek(tp, begins[tp])
            offset = begins[tp]
            while offset < ends[tp]:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=CHUNK)
                position = await consumer.position(tp)
                done, offset = done + position - offset, position
                yield [record for records in fetched.values() for record in records]
                tell(what, min(done, total), total)
    finally:
        await consumer.stop()


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
