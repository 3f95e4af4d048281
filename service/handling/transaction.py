"""One batch of commands, one Kafka transaction: input offsets, events, states, rejections, forwards, replies."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer, TopicPartition
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
from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, HANDLER_GROUP
from service.domain.execution import Execution
from service.domain.parsing import DefinitionOf
from service.handling.batches import Batches, Outgoing
from service.handling.outbox import Outbox, reply_record
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
    """The broker does not take replies to this topic. The action: answer the batch again, without this topic.

    `error` is a TimeoutError where it gave no reason.
    """

    def __init__(self, topic: str, error: KafkaError | TimeoutError) -> None:
        super().__init__(f"{topic}: {error!r}")
        self.topic, self.error = topic, error


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction has to record: in `outbox`, the answers to all commands before offset `next_offset`.

    Each reply topic must take its replies within `reply_seconds`.
    """

    outbox: Outbox
    states: Iterable[Execution]
    forgotten: Iterable[str]
    next_offset: int
    at: Timestamp
    reply_seconds: float


async def write(producer: AIOKafkaProducer, batch: Batch, events_end: int, definition_of: DefinitionOf) -> int:
    """Commit the batch, or raise; the state in memory may change only after this returns.

    `events_end` is an offset that no event of the partition has passed yet. Returns the same for the next batch.

    Any exception leaves the outcome unknown: throw the producer and the partition's state away.
    """
    outbox = batch.outbox
    outbox.add_states(batch.states, batch.forgotten, batch.at)
    outbox.add_position(batch.next_offset, batch.at)

    await producer.begin_transaction()
    # First: concurrently with produce requests the coordinator answers CONCURRENT_TRANSACTIONS, each a back-off.
    source = TopicPartition(COMMANDS_TOPIC, outbox.partition)
    await producer.send_offsets_to_transaction({source: batch.next_offset}, HANDLER_GROUP)
    offsets = await outbox.batches.send(producer)
    event_offsets = offsets.get((EVENTS_TOPIC, outbox.partition), [])
    if event_offsets:
        events_end = event_offsets[-1] + 1
    if outbox.replies:
        await _send_replies(producer, batch, event_offsets, events_end, definition_of)
    await producer.commit_transaction()
    return events_end


async def _send_replies(
    producer: AIOKafkaProducer, batch: Batch, event_offsets: list[int], events_end: int, definition_of: DefinitionOf
) -> None:
    by_topic: dict[str, list[Outgoing]] = {}
    for answer, place in batch.outbox.replies:
        offset = events_end - 1 if place is None else event_offsets[place]
        position = Position(partition=batch.outbox.partition, offset=max(offset, 0))
        assert answer.reply_to is not None  # noqa: S101 - else it would not be among them
        record = reply_record(answer, position, definition_of, batch.at)
        by_topic.setdefault(answer.reply_to.topic, []).append(record)
    for topic, records in by_topic.items():
        try:
            async with asyncio.timeout(batch.reply_seconds):
                partitions = len(await producer.partitions_for(topic))
                batches = Batches(producer.create_batch)
                for record in records:
                    batches.put(topic, partition_of(record.key or b"", partitions), record)
                await batches.send(producer)
        except (*_FOR_GOOD, TimeoutError) as error:
            raise ReplyRefusedError(topic, error) from error
