"""What a partition goes on from: its state from the changelog, and the group's committed offset checked against it."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.contracts.topics import EVENTS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution
from service.handling import metrics
from service.handling.snapshots import POSITION_KEY, decode_snapshot
from service.handling.timeouts import Timeouts
from service.kafka.records import Record

log = structlog.get_logger(__name__)


class ForeignTransactionError(Exception):
    """Somebody's transaction is still open on the state partition. The action: wait, and open again."""


@dataclass
class Restored:
    """The executions, the next command offset as the last transaction wrote it, and the end of the events."""

    states: dict[str, Execution] = field(default_factory=dict)
    position: int | None = None
    events_end: int = 0

    def take(self, records: Iterable[Record]) -> None:
        """Take in records in the order of the topic: the newest per key wins, no value forgets it."""
        for record in records:
            key, value = record.key or b"", record.value
            if value is None:
                self.states.pop(key.decode(), None)
            elif key == POSITION_KEY:
                self.position = int(value)
            else:
                self.states[key.decode()] = decode_snapshot(value)


async def restore(bootstrap_servers: str, partition: int, timeouts: Timeouts) -> Restored:
    """Read the state partition to its end as of now.

    Call it after the partition's producer has started: only then is the old owner's transaction over.

    Raises:
        ForeignTransactionError: its last stable offset is not its end, so committed records may be invisible yet.
        UnreadableSnapshotError: a later version wrote a state.
    """
    tp, events = TopicPartition(STATE_TOPIC, partition), TopicPartition(EVENTS_TOPIC, partition)
    restored = Restored()
    async with AsyncExitStack() as stack:
        reader = await _consumer(stack, bootstrap_servers, "read_committed", timeouts)
        watcher = await _consumer(stack, bootstrap_servers, "read_uncommitted", timeouts)
        ends = await reader.end_offsets([tp, events])
        high_watermark = (await watcher.end_offsets([tp]))[tp]
        if ends[tp] != high_watermark:
            raise ForeignTransactionError(f"{STATE_TOPIC}/{partition}: stable to {ends[tp]} of {high_watermark}")
        begin = (await reader.beginning_offsets([tp]))[tp]
        reader.assign([tp])
        reader.seek(tp, begin)
        # position(), not the last record's offset: a transaction's end marker stands behind its records.
        while await reader.position(tp) < ends[tp]:
            for records in (await reader.getmany(timeout_ms=500, max_records=50_000)).values():
                restored.take(records)
    restored.events_end = ends[events]
    return restored


async def _consumer(
    stack: AsyncExitStack, bootstrap_servers: str, isolation_level: str, timeouts: Timeouts
) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_bytes=8 << 20,
        max_partition_fetch_bytes=8 << 20,
        request_timeout_ms=int(timeouts.request * 1000),
        retry_backoff_ms=int(timeouts.retry_backoff * 1000),
    )
    stack.push_async_callback(consumer.stop)
    await consumer.start()
    return consumer


class StateLostError(Exception):
    """Offsets or topics do not fit the state any more. The action: a human decides; the partition stays closed."""


@dataclass(frozen=True, slots=True)
class StartOffset:
    """The two records of the same fact; every transaction writes both."""

    committed: int | None
    position: int | None


async def start_offset(consumer: AIOKafkaConsumer, tp: TopicPartition, known: StartOffset) -> int:
    """The offset of the next command to handle.

    Raises:
        StateLostError: there are committed offsets but no state, or the commands end before the offset.
    """
    begin: int = (await consumer.beginning_offsets([tp]))[tp]
    end: int = (await consumer.end_offsets([tp]))[tp]
    if known.position is None:
        if known.committed:
            raise StateLostError(
                f"{tp.topic}/{tp.partition}: the group has committed offset {known.committed}, but the state topic has "
                "no position. Was task-execution.state deleted? Restore it, or delete the group to start from nothing."
            )
        return begin
    if known.committed != known.position:
        metrics.OFFSETS_LOST.inc()
        log.error("group_offset_lost", partition=tp.partition, committed=known.committed, position=known.position)
    if known.position > end:
        raise StateLostError(
            f"{tp.topic}/{tp.partition}: the state says offset {known.position}, but the topic ends at {end}. "
            "Was task-execution.commands deleted?"
        )
    if known.position < begin:
        metrics.COMMANDS_EXPIRED.inc(begin - known.position)
        log.error("commands_expired", partition=tp.partition, first_lost=known.position, next=begin)
        return begin
    return known.position
