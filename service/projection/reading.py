"""Opens the projector's consumer exactly where ClickHouse stands, and reads; reports where Kafka has no longer all."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka import consuming
from service.kafka.connection import Kafka
from service.kafka.internals.fetching import bound_fetching
from service.kafka.internals.topic_ids import cluster_ids
from service.kafka.records import Record, get_many
from service.ports.errors import ForeignStoreError
from service.ports.positions import PartitionPosition
from service.ports.projection_store import ProjectionStore
from service.projection import metrics
from service.projection.batch import TOPICS, Batch

log = structlog.get_logger(__name__)

_FEW_BYTES: Final = 1 << 20
"""A poll that gives less has left nothing: in a backlog, one partition alone gives more."""

_MOST_BYTES: Final = 32 << 20
"""Of memory that the records of one batch take, and one poll more."""

_FETCH_WAIT_MS: Final = 100
"""An idle partition is heard of this often: what `asOf` is made of. A request for idle ones holds up the others."""


@asynccontextmanager
async def started_consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of committed transactions only, in no group.

    Raises:
        KafkaError: the broker cannot be reached.
    """
    bound_fetching()
    async with consuming.started_consumer(kafka, _FETCH_WAIT_MS) as consumer:
        yield consumer


async def check_topics(store: ProjectionStore, kafka: Kafka, consumer: AIOKafkaConsumer) -> None:
    """Look whether the store is of these topics; one that does not say is taken for it, and says so from now on.

    Offsets alone tell only while the topic is shorter than it was.

    Raises:
        ForeignStoreError: it is of others that have the same names.
        KafkaError: the broker does not answer, or has not got a topic.
    """
    found = await cluster_ids(consumer, [kafka.topic(name) for name in TOPICS])
    present = {kafka.our_name(name): id_ for name, id_ in found.topics.items()}
    recorded = await store.topic_ids()
    for name in TOPICS:
        if recorded.get(name, present[name]) != present[name]:
            raise ForeignStoreError(
                f"ClickHouse holds another {kafka.topic(name)} than this Kafka has: its id was {recorded[name]} and is "
                f"{present[name]}. Either the topic was made anew, or the two do not belong together. Point the "
                "projector to the right Kafka or ClickHouse, or to an empty database, which it fills from Kafka; the "
                "old one keeps what it has."
            )
    if missing := {name: id_ for name, id_ in present.items() if name not in recorded}:
        await store.write_topic_ids(missing)
        log.info("topics_recorded", **{name: str(id_) for name, id_ in missing.items()})


async def begin(consumer: AIOKafkaConsumer, next_offsets: Mapping[TopicPartition, int]) -> None:
    """Read these partitions from these offsets on.

    Raises:
        KafkaError: the broker does not answer, or does not know a partition.
        ForeignStoreError: a partition ends before its offset.
    """
    starts = await consumer.beginning_offsets(list(next_offsets))
    ends = await consumer.end_offsets(list(next_offsets))
    offsets = {tp: _first(tp, offset, starts[tp], ends[tp]) for tp, offset in next_offsets.items()}
    # No await from here: the fetcher must find every partition with its position.
    consumer.assign(list(offsets))
    for partition, offset in offsets.items():
        consumer.seek(partition, offset)


async def gather(
    consumer: AIOKafkaConsumer, wait_ms: int, most_rows: int
) -> tuple[dict[TopicPartition, list[Record]], bool]:
    """What comes next, and whether that is all that can be had at once.

    In a backlog it is what several polls give: the engine has half as much to do for large inserts.

    Raises:
        KafkaError: the broker does not answer.
    """
    gathered: dict[TopicPartition, list[Record]] = defaultdict(list)
    rows = size = 0
    while True:
        polled = await get_many(consumer, _FETCH_WAIT_MS if rows else wait_ms, most_rows - rows)
        for partition, records in polled.items():
            gathered[partition] += records
        rows += sum(map(len, polled.values()))
        came = sum(record.size for records in polled.values() for record in records)
        size += came
        full = rows >= most_rows or size >= _MOST_BYTES
        if full or came < _FEW_BYTES:
            return gathered, not full


def _first(partition: TopicPartition, wanted: int, start: int, end: int) -> int:
    """The offset to begin at; a gap is reported, and read over."""
    if wanted > end:
        raise ForeignStoreError(
            f"ClickHouse holds {partition.topic}/{partition.partition} up to offset {wanted - 1}, but the topic ends "
            f"before {end}: it was made anew, or lost records. Point the service to the right Kafka or ClickHouse, or "
            "drop the ClickHouse tables: the projector fills them again from Kafka."
        )
    if wanted < start:
        metrics.OFFSETS_MISSED.labels(partition.topic).inc(start - wanted)
        log.error(
            "records_missed",
            topic=partition.topic,
            partition=partition.partition,
            first=wanted,
            last=start - 1,
            advice="deleted before they were projected; answers lack them. Check the topic's retention.",
        )
    return max(wanted, start)


async def reached(
    consumer: AIOKafkaConsumer, kafka: Kafka, live: Collection[TopicPartition], batch: Batch
) -> list[PartitionPosition]:
    """How far the projection will be with this batch, which was just fetched; of partitions that were heard of."""
    positions: list[PartitionPosition] = []
    for partition in live:
        fetched_at = consumer.last_poll_timestamp(partition)
        if fetched_at is None:
            continue
        next_offset = await consumer.position(partition)
        if partition in batch.unreadable:
            next_offset = batch.unreadable[partition][0]
        end = max(next_offset, consumer.last_stable_offset(partition))
        topic = kafka.our_name(partition.topic)
        positions.append(
            PartitionPosition(topic, partition.partition, next_offset - 1, end_offset=end, as_of=fetched_at)
        )
    return positions
