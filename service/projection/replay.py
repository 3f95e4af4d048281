"""Reads what the topics have, from the first record to their ends as of now, into a store beside the one in use."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka.connection import Kafka
from service.ports.progress import Tell
from service.ports.projection_store import EventRow, RejectionRow
from service.projection.batch import TOPICS, Batch, make_batch
from service.projection.reading import begin, gather, started_consumer
from service.projection.writing import writing

_ROWS: Final = 20_000
_POLL_MS: Final = 500


class Inserted(Protocol):
    """Where the rows go."""

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        """See `ProjectionStore`."""
        ...

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        """See `ProjectionStore`."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of each partition that there are now, the ends exclusive."""

    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]

    @property
    def size(self) -> int:
        """How many offsets."""
        return sum(self.ends.values()) - sum(self.begins.values())


async def present_span(kafka: Kafka, partitions: int) -> Span:
    """What the topics have now, committed.

    Raises:
        KafkaError: the broker does not answer.
    """
    tps = [kafka.partition(topic, number) for topic in TOPICS for number in range(partitions)]
    async with started_consumer(kafka) as consumer:
        return Span(await consumer.beginning_offsets(tps), await consumer.end_offsets(tps))


async def replay(store: Inserted, kafka: Kafka, span: Span, what: str, tell: Tell) -> int:
    """Insert what is in this span, or a little more; returns how many records.

    Raises:
        KafkaError: the broker does not answer.
        UnavailableError: the store does not.
        UnreadableRecordError: a record that this version cannot read.
    """
    count = 0
    async with started_consumer(kafka) as consumer, writing() as writes:
        await begin(consumer, span.begins)
        left = span.size
        tell(what, 0, span.size)
        while left > 0:
            records, _ = await gather(consumer, _POLL_MS, _ROWS)
            batch = await asyncio.to_thread(make_batch, records, kafka)
            for _, error in batch.unreadable.values():
                raise error
            count += sum(map(len, records.values()))
            del records  # as large as the rows; they would be held until the next ones are there
            await writes.begin(partial(_insert, store, batch))
            left = await _left(consumer, span)
            tell(what, span.size - left, span.size)
    return count


async def _insert(store: Inserted, batch: Batch) -> None:
    if batch.events.rows:
        await store.insert_events(batch.events.rows, batch.events.token)
    if batch.rejections.rows:
        await store.insert_rejections(batch.rejections.rows, batch.rejections.token)


async def _left(consumer: AIOKafkaConsumer, span: Span) -> int:
    return sum([max(end - await consumer.position(tp), 0) for tp, end in span.ends.items()])
