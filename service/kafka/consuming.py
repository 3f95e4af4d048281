"""Reads what is committed, in no group: whoever reads so keeps its place itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from service.contracts.topics import MAX_RECORD_BYTES
from service.kafka.connection import Kafka


@asynccontextmanager
async def started_consumer(kafka: Kafka, max_wait_ms: int) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of committed transactions only; an idle partition is heard of after `max_wait_ms`.

    Raises:
        KafkaError: the broker cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_bytes=4 * MAX_RECORD_BYTES,
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
        fetch_max_wait_ms=max_wait_ms,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
