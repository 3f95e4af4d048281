"""Stage 5, commit: one unit of work, one Kafka transaction: the input offset and all records, replies last."""

import asyncio
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownError,
)

from service.contracts.replies import Position
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC
from service.handling.batches import Batches, Outgoing
from service.handling.reply_records import reply_record
from service.handling.unit_of_work import UnitOfWork
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of

_FOR_GOOD = (
    InvalidTimestampError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownError,  # what aiokafka makes of INVALID_RECORD: a compacted topic takes no reply without a key
)


class ReplyRefusedError(Exception):
    """The broker does not take replies to this topic. The action: answer the batch again, without this topic."""

    def __init__(self, topic: str, error: KafkaError) -> None:
        super().__init__(f"{topic}: {error!r}")
        self.topic, self.error = topic, error


class Ends(NamedTuple):
    """How far a partition's topics go after a commit: offsets that no event, or state, has passed yet."""

    events: int
    states: int


async def commit(  # noqa: PLR0913 - all that a transaction needs
    kafka: Kafka,
    producer: AIOKafkaProducer,
    unit: UnitOfWork,
    next_offset: int,
    events_end: int,
    *,
    reply_seconds: float,
) -> Ends:
    """Commit the unit, or raise; the state in memory may change only after this returns.

    All commands before offset `next_offset` are answered by it. `events_end` is an offset that no event of the
    partition has passed yet. Reply topics must take the replies within `reply_seconds`.

    Any exception leaves the outcome unknown: throw the producer and the partition's state away.

    Returns:
        How far the topics go now.

    Raises:
        ReplyRefusedError: a reply topic cannot be written.
        TimeoutError: a broker is slow.
    """
    unit.add_states(next_offset)
    await producer.begin_transaction()
    # First: concurrently with produce requests the coordinator answers CONCURRENT_TRANSACTIONS, each a back-off.
    source = kafka.partition(COMMANDS_TOPIC, unit.partition)
    await producer.send_offsets_to_transaction({source: next_offset}, kafka.group)
    offsets = await unit.batches.send(producer)
    event_offsets = offsets.get((EVENTS_TOPIC, unit.partition), [])
    if event_offsets:
        events_end = event_offsets[-1] + 1
    if unit.replies:
        await _send_replies(producer, unit, event_offsets, events_end, reply_seconds)
    await producer.commit_transaction()
    return Ends(events_end, offsets[STATE_TOPIC, unit.partition][-1] + 1)


async def _send_replies(
    producer: AIOKafkaProducer, unit: UnitOfWork, event_offsets: list[int], events_end: int, seconds: float
) -> None:
    by_topic: dict[str, list[Outgoing]] = {}
    for answer, last_event in unit.replies:
        offset = events_end - 1 if last_event is None else event_offsets[last_event]
        position = Position(partition=unit.partition, offset=max(offset, 0))
        assert answer.reply_to is not None  # noqa: S101 - else it would not be among them
        by_topic.setdefault(answer.reply_to.topic, []).append(reply_record(answer, position, unit.at))
    sends = [_send_to(topic, records, producer, seconds) for topic, records in by_topic.items()]
    for outcome in await asyncio.gather(*sends, return_exceptions=True):  # none of them is left behind
        if outcome is not None:
            raise outcome


async def _send_to(topic: str, records: list[Outgoing], producer: AIOKafkaProducer, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            partitions = len(await producer.partitions_for(topic))
            batches = Batches(producer.create_batch)
            for record in records:
                batches.put(topic, partition_of(record.key or b"", partitions), record)
            await batches.send(producer)
    except _FOR_GOOD as error:
        raise ReplyRefusedError(topic, error) from error
