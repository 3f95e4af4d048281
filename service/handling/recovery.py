"""Where a partition goes on: the group's committed offset, checked against the position that its state has."""

from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.handling import metrics
from service.handling.state_topic import StateTopic

log = structlog.get_logger(__name__)


class StateLostError(Exception):
    """Offsets or topics do not fit the state any more. The action: end the process; a person must act."""


REBUILD: Final = "Stop all handlers, then run `taskexec state rebuild`: it makes the state anew from the events."


async def check_state(topic: StateTopic, position: bytes | None) -> None:
    """Look whether the state is whole, as far as that can be told.

    Raises:
        StateLostError: records were deleted from the state topic, or there are events and no state: what is remembered
            is less than what happened, so commands that come again would be done twice.
    """
    name = f"{topic.tp.topic}/{topic.tp.partition}"
    if topic.begin > 0:  # compaction moves it never
        raise StateLostError(f"{name}: the records before offset {topic.begin} were deleted. {REBUILD}")
    if position is None and await topic.has_events():
        raise StateLostError(f"{name}: there are events, and no state. Was the topic deleted? {REBUILD}")


@dataclass(frozen=True, slots=True)
class StartOffset:
    """The two records of the same fact; every transaction writes both."""

    committed: int | None
    position: int | None


async def start_offset(consumer: AIOKafkaConsumer, tp: TopicPartition, known: StartOffset) -> int:
    """The offset of the next command to handle.

    Raises:
        StateLostError: the commands end before the offset.
    """
    begin: int = (await consumer.beginning_offsets([tp]))[tp]
    end: int = (await consumer.end_offsets([tp]))[tp]
    if known.position is None:
        return begin
    if known.committed != known.position:
        metrics.OFFSETS_LOST.inc()
        log.error("group_offset_lost", partition=tp.partition, committed=known.committed, position=known.position)
    if known.position > end:
        raise StateLostError(
            f"{tp.topic}/{tp.partition}: the state says offset {known.position}, but the topic ends at {end}. "
            f"Records were deleted there. {REBUILD}"
        )
    if known.position < begin:
        metrics.COMMANDS_EXPIRED.inc(begin - known.position)
        log.error("commands_expired", partition=tp.partition, first_lost=known.position, next=begin)
        return begin
    return known.position
