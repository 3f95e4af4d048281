"""Where a partition goes on: the group's committed offset, checked against the position that its state has."""

from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.handling import metrics

log = structlog.get_logger(__name__)


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
