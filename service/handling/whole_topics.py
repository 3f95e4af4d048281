"""Reads whole partitions for a rebuild, and tells how far it is."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka.connection import Kafka
from service.kafka.records import Record, get_many
from service.ports.progress import Tell

CHUNK: Final = 1_000
_POLL_MS: Final = 50
_NONE: Final[Mapping[TopicPartition, int]] = MappingProxyType({})


class RebuildError(Exception):
    """The state cannot be rebuilt; the message says why, and what to do."""


async def reading(
    kafka: Kafka, tps: Sequence[TopicPartition], what: str, tell: Tell, *, begins: Mapping[TopicPartition, int] = _NONE
) -> AsyncGenerator[list[Record], None]:
    """All committed records of these partitions, from their begins up to their ends as of now, or a little further."""
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=_POLL_MS,  # partitions that are read to their end hold up the others for so long
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(tps)
        offsets = {**await consumer.beginning_offsets(tps), **begins}
        consumer.assign(tps)
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        total = left = sum(ends[tp] - offsets[tp] for tp in tps)
        while left > 0:
            fetched = await get_many(consumer, _POLL_MS, CHUNK)
            yield [record for records in fetched.values() for record in records]
            left = sum([max(ends[tp] - await consumer.position(tp), 0) for tp in tps])
            tell(what, total - left, total)
    finally:
        await consumer.stop()
