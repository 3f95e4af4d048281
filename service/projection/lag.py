"""How far the projection is behind, asked of Kafka alone: it is told whether or not the store can be written."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.kafka.connection import Kafka
from service.projection import metrics

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 5.0

NextOffsets = Mapping[TopicPartition, int]
"""Of each partition, the first offset that is not stored."""


async def watch_lag(kafka: Kafka, next_offsets: Callable[[], NextOffsets]) -> None:
    """Set the gauges of lag now and then until cancelled; while Kafka does not answer, they stay what they were."""
    while True:
        try:
            async with AIOKafkaConsumer(**kafka.options(), isolation_level="read_committed") as consumer:
                while True:
                    await _measure(consumer, next_offsets())
                    await asyncio.sleep(PERIOD_SECONDS)
        except KafkaError as error:
            log.debug("lag_unknown", error=str(error))
            await asyncio.sleep(PERIOD_SECONDS)


async def _measure(consumer: AIOKafkaConsumer, next_offsets: NextOffsets) -> None:
    if next_offsets:
        ends = await consumer.end_offsets([*next_offsets])
        for partition, end in ends.items():
            metrics.LAG.labels(*partition).set(max(0, end - next_offsets[partition]))
