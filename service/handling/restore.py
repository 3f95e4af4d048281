"""A partition's state from its changelog."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.contracts.topics import EVENTS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution
from service.handling.snapshots import POSITION_KEY, decode_snapshot
from service.handling.timeouts import Timeouts
from service.kafka.records import Record


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
    """
    tp, events = TopicPartition(STATE_TOPIC, partition), TopicPartition(EVENTS_TOPIC, partition)
    reader = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_bytes=8 << 20,
        max_partition_fetch_bytes=8 << 20,
        request_timeout_ms=int(timeouts.request * 1000),
        retry_backoff_ms=int(timeouts.retry_backoff * 1000),
    )
    restored = Restored()
    await reader.start()
    try:
        ends = await reader.end_offsets([tp, events])
        high_watermark = await _high_watermark(reader, tp)
        if ends[tp] != high_watermark:
            raise ForeignTransactionError(f"{STATE_TOPIC}/{partition}: stable to {ends[tp]} of {high_watermark}")
        begin = (await reader.beginning_offsets([tp]))[tp]
        reader.assign([tp])
        reader.seek(tp, begin)
        # position(), not the last record's offset: a transaction's end marker stands behind its records.
        while await reader.position(tp) < ends[tp]:
            for records in (await reader.getmany(timeout_ms=500, max_records=50_000)).values():
                restored.take(records)
    finally:
        await reader.stop()
    restored.events_end = ends[events]
    return restored


async def _high_watermark(reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
    """The end of the partition, open transactions included: aiokafka has no public call for it."""
    fetcher: Any = reader._fetcher  # noqa: SLF001 - see above
    committed, fetcher._isolation_level = fetcher._isolation_level, 0  # noqa: SLF001 - see above
    try:
        ends: dict[TopicPartition, int] = await reader.end_offsets([tp])
    finally:
        fetcher._isolation_level = committed  # noqa: SLF001 - see above
    return ends[tp]
