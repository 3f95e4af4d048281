"""Reading a topic without a group, from any place on: what follows events does so."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.contracts.topics import EVENTS_TOPIC
from service.kafka.connection import Kafka
from service.kafka.consuming import started_consumer


class Tail(NamedTuple):
    """A consumer of all partitions of the events topic; it begins at `starts`, and the topic ended at `ends` then."""

    consumer: AIOKafkaConsumer
    places: list[TopicPartition]
    starts: dict[int, int]
    ends: dict[int, int]

    async def position(self, partition: int) -> int:
        """The offset that is read next: past the marks of transactions, too, which are no records."""
        position: int = await self.consumer.position(self.places[partition])
        return position


@asynccontextmanager
async def tailing(
    kafka: Kafka, partitions: int, starts: Mapping[int, int] | None = None, *, back: int = 0, max_wait_ms: int = 100
) -> AsyncIterator[Tail]:
    """Read events of committed transactions from `starts` on; without, from so many offsets before the end (`back`).

    A partition of which an event just came is asked for again after `max_wait_ms`, at the latest.

    Raises:
        KafkaError: on entering, Kafka does not answer; while reading, an OffsetOutOfRangeError: what is asked for is
            kept no longer, or is not there at all.
    """
    places = [kafka.partition(EVENTS_TOPIC, number) for number in range(partitions)]
    async with started_consumer(kafka, max_wait_ms) as consumer:
        ends = await consumer.end_offsets(places)
        if starts is None:
            first = await consumer.beginning_offsets(places) if back else ends
            starts = {place.partition: max(first[place], ends[place] - back) for place in places}
        # No await from here: the fetcher must find every partition with its position.
        consumer.assign(places)
        for place in places:
            consumer.seek(place, starts[place.partition])
        yield Tail(consumer, places, dict(starts), {place.partition: end for place, end in ends.items()})
