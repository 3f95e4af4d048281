"""The steps of `taskexec state rebuild`, in an order in which each may be the last.

Nothing is deleted before the events are known to lead to all that the state has. From then on no handler starts before
the end, and one that was there all the time can commit nothing that is not noticed.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC
from service.handling.folding import compare_states, fold_events
from service.handling.handler import utc_now
from service.handling.owned_topics import owned_topics
from service.handling.rebuilding import fence, owners, verify_states, write_states
from service.handling.state_store import StateStore
from service.handling.stores import StateStores
from service.handling.whole_topics import RebuildError, reading
from service.kafka.connection import Kafka
from service.kafka.installation import (
    Installation,
    present_installation,
    record_installation,
    recorded_installation,
    verify_installation,
)
from service.kafka.provisioning import ProvisioningError, ensure_topics
from service.ports.progress import Tell

_FROM_A_BACKUP: Final = (
    "Restore it from a backup; when it has all events again, say so with --accept-events. Nothing was changed."
)


async def rebuild_state(
    kafka: Kafka, partitions: int, replication_factor: int, tell: Tell, *, accept_events: bool = False
) -> int:
    """Make the state topic anew, for so many partitions; returns how many executions it has.

    `accept_events` takes the events topic as the whole record, though it is not the one there was: it was restored.

    Raises:
        RebuildError: handlers run, commands wait that would have another owner, or the events are not whole.
        InstallationError: somebody else rebuilds it at the same time.
        KafkaError: the broker does not answer.
    """
    store = await StateStores(None).temporary()
    try:
        async with owned_topics(kafka) as topics, _consumer(kafka) as consumer:
            await topics.refuse_members()
            with suppress(ProvisioningError):  # what is missing is made; what differs is mended below, or then told
                await ensure_topics(kafka, partitions, replication_factor)
            counts = await topics.partition_counts()
            most = max(count for name, count in counts.items() if name != STATE_TOPIC)
            if most > partitions:
                raise RebuildError(f"There are {most} partitions; Kafka can't take any away. Give {most} or more.")
            recorded = await recorded_installation(consumer, kafka)
            present = await present_installation(consumer, kafka, partitions)
            events = [kafka.partition(EVENTS_TOPIC, number) for number in range(counts[EVENTS_TOPIC])]
            if not accept_events:
                await _refuse_other_events(consumer, events, recorded, present)
            await fence(kafka, partitions)
            positions = await _positions(consumer, kafka, counts[COMMANDS_TOPIC], recorded, present)
            if most < partitions:
                await _refuse_waiting(kafka, positions, tell)
            ends = await consumer.end_offsets(events)
            await fold_events(kafka, len(events), store, tell)
            await _refuse_more(consumer, ends)
            await compare_states(kafka, counts[STATE_TOPIC], store, tell)
            await topics.refuse_members()
            await record_installation(kafka, replace(recorded or present, rebuilding=True))
            await topics.delete_state()
            await topics.add_partitions(partitions)
            await ensure_topics(kafka, partitions, replication_factor)
            offsets = [positions.get(kafka.partition(COMMANDS_TOPIC, number), 0) for number in range(partitions)]
            return await _write(kafka, consumer, store, ends, offsets, tell=tell)
    finally:
        store.close()


async def _write(  # noqa: PLR0913 - all that is known by now
    kafka: Kafka,
    consumer: AIOKafkaConsumer,
    store: StateStore,
    ends: Mapping[TopicPartition, int],
    positions: list[int],
    *,
    tell: Tell,
) -> int:
    partitions = len(positions)
    installation = await present_installation(consumer, kafka, partitions)
    async with owners(kafka, partitions) as producers:
        await _refuse_more(consumer, ends)
        await write_states(kafka, producers, store, positions, utc_now(), tell=tell)
    count = await verify_states(kafka, partitions, store, tell)
    await verify_installation(kafka, installation)
    await record_installation(kafka, installation)
    return count


async def _refuse_more(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
    if await consumer.end_offsets(list(ends)) != ends:
        raise RebuildError("A handler has worked meanwhile. Stop them all, then begin again.")


async def _refuse_other_events(
    consumer: AIOKafkaConsumer, events: list[TopicPartition], recorded: Installation | None, present: Installation
) -> None:
    if recorded is not None and recorded.topics[EVENTS_TOPIC] != present.topics[EVENTS_TOPIC]:
        raise RebuildError(f"{EVENTS_TOPIC} is not the one that was recorded: it was made anew. {_FROM_A_BACKUP}")
    for tp, begin in (await consumer.beginning_offsets(events)).items():
        if begin:
            raise RebuildError(f"{tp.topic}/{tp.partition} has lost its events before offset {begin}. {_FROM_A_BACKUP}")


async def _positions(
    consumer: AIOKafkaConsumer, kafka: Kafka, partitions: int, recorded: Installation | None, present: Installation
) -> dict[TopicPartition, int]:
    """The next command of each partition: as the group has it, if these are the same commands; else the first there is.

    Commands that come twice by this are repeats of what the states remember.
    """
    tps = [kafka.partition(COMMANDS_TOPIC, number) for number in range(partitions)]
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    same = recorded is None or recorded.topics[COMMANDS_TOPIC] == present.topics[COMMANDS_TOPIC]
    committed = {tp: await consumer.committed(tp) if same else None for tp in tps}
    return {tp: begins[tp] if at is None else min(max(at, begins[tp]), ends[tp]) for tp, at in committed.items()}


async def _refuse_waiting(kafka: Kafka, positions: Mapping[TopicPartition, int], tell: Tell) -> None:
    """Commands of one key must not be handled in two partitions at once: those that wait come first.

    Where partitions were added already, those that wait can only be forwarded.
    """
    async with aclosing(reading(kafka, list(positions), "Looking for commands", tell, begins=positions)) as waiting:
        async for records in waiting:
            if records:
                raise RebuildError(
                    f"Commands wait in {records[0].topic}/{records[0].partition}. Stop those who send, start the "
                    "handlers with the old number of partitions until all is handled, stop them, and begin again."
                )


@asynccontextmanager
async def _consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    """No member of the group: it has its name to ask for its offsets."""
    consumer = AIOKafkaConsumer(
        **kafka.options(), group_id=kafka.group, isolation_level="read_committed", enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=20,  # what is asked waits behind a fetch: one connection, one request at a time
    )  # fmt: skip
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
