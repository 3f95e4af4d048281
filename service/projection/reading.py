"""Opens the projector's consumer exactly where ClickHouse stands; reports where Kafka no longer goes back that far."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.contracts.topics import MAX_RECORD_BYTES
from service.kafka.connection import Kafka
from service.kafka.internals.fetching import bound_fetching
from service.projection import metrics

log = structlog.get_logger(__name__)

_FETCH_WAIT_MS: Final = 500
"""An idle partition is heard of this often: what `asOf` is made of."""


class ProjectionAheadError(Exception):
    """ClickHouse holds more than the topic: the two do not belong together. The action: stop; a person must act."""


@asynccontextmanager
async def open_consumer(kafka: Kafka, next_offsets: Mapping[TopicPartition, int]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of these partitions from these offsets on; of committed transactions only, in no group.

    Raises:
        KafkaError: the broker cannot be reached, or does not know a partition.
        ProjectionAheadError: a partition ends before its offset.
    """
    bound_fetching()
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_bytes=4 * MAX_RECORD_BYTES,
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    try:
        await consumer.start()
        starts = await consumer.beginning_offsets(list(next_offsets))
        ends = await consumer.end_offsets(list(next_offsets))
        offsets = {tp: _first(tp, offset, starts[tp], ends[tp]) for tp, offset in next_offsets.items()}
        # No await from here: the fetcher must find every partition with its position.
        consumer.assign(list(offsets))
        for partition, offset in offsets.items():
            consumer.seek(partition, offset)
        yield consumer
    finally:
        await consumer.stop()


def _first(partition: TopicPartition, wanted: int, start: int, end: int) -> int:
    """The offset to begin at; a gap is reported, and read over."""
    if wanted > end:
        raise ProjectionAheadError(
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
