"""What an opening must know of its state partition, and a consumer to read it with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from service.contracts.topics import EVENTS_TOPIC, STATE_TOPIC
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.internals.topic_ids import cluster_ids

_POLL_MS: Final = 500


class ForeignTransactionError(Exception):
    """Somebody's transaction is still open on the state partition. The action: wait, and open again."""


class StateTopic(Struct, frozen=True):
    """A partition of the state topic as of now: which offsets it has, and the end of the same partition's events.

    `origin` names it for good: its cluster, its topic's id, its number.
    """

    reader: AIOKafkaConsumer
    tp: TopicPartition
    begin: int
    end: int
    events: TopicPartition
    events_end: int
    origin: str

    async def has_events(self) -> bool:
        """Whether the partition of the events has a committed one; an aborted first transaction leaves none."""
        offset = (await self.reader.beginning_offsets([self.events]))[self.events]
        if offset >= self.events_end:
            return False  # without another assignment: to stop it right after one takes aiokafka many seconds
        self.reader.assign([self.events])
        self.reader.seek(self.events, offset)
        while offset < self.events_end:
            if await self.reader.getmany(timeout_ms=_POLL_MS, max_records=1):
                return True
            offset = await self.reader.position(self.events)
        return False


@asynccontextmanager
async def state_topic(kafka: Kafka, partition: int, timeouts: Timeouts) -> AsyncIterator[StateTopic]:
    """Look at the state partition, and read it while the context is open.

    Call it after the partition's producer has started: only then is the old owner's transaction over.

    Raises:
        ForeignTransactionError: its last stable offset is not its end, so committed records may be invisible yet.
    """
    tp, events = kafka.partition(STATE_TOPIC, partition), kafka.partition(EVENTS_TOPIC, partition)
    async with _consumer(kafka, "read_committed", timeouts) as reader:
        ends = await reader.end_offsets([tp, events])
        async with _consumer(kafka, "read_uncommitted", timeouts) as watcher:
            high_watermark = (await watcher.end_offsets([tp]))[tp]
        if ends[tp] != high_watermark:
            raise ForeignTransactionError(f"{tp.topic}/{partition}: stable to {ends[tp]} of {high_watermark}")
        begin = (await reader.beginning_offsets([tp]))[tp]
        ids = await cluster_ids(reader, [tp.topic])
        origin = f"{ids.cluster}/{ids.topics[tp.topic]}/{partition}"
        yield StateTopic(reader, tp, begin, ends[tp], events, ends[events], origin)


@asynccontextmanager
async def _consumer(kafka: Kafka, isolation_level: str, timeouts: Timeouts) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_bytes=8 << 20,
        max_partition_fetch_bytes=8 << 20,
        request_timeout_ms=int(timeouts.request * 1000),
        retry_backoff_ms=int(timeouts.retry_backoff * 1000),
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
