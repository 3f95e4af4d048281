"""One batch of commands, one Kafka transaction: input offsets, events, states, rejections, forwards, replies."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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
from aiokafka.structs import RecordMetadata

from service.contracts.replies import Position
from service.contracts.topics import COMMANDS, EVENTS, HANDLER_GROUP, STATE
from service.domain.execution import Execution
from service.domain.parsing import DefinitionOf
from service.handling.answering import Accepted, Answer, Misplaced
from service.handling.outbox import Outbox, Outgoing, epoch_ms, reply_record
from service.handling.snapshots import POSITION_KEY
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
    """What one transaction has to record: the answers to all commands before offset `next_offset`.

    Each reply topic must take its replies within `reply_seconds`.
    """

    partition: int
    answers: list[Answer]
    states: Iterable[Execution]
    forgotten: Iterable[str]
    next_offset: int
    at: datetime
    reply_seconds: float


async def write(producer: AIOKafkaProducer, batch: Batch, events_end: int, definition_of: DefinitionOf) -> int:
    """Commit the batch, or raise; the state in memory may change only after this returns.

    `events_end` is an offset that no event of the partition has passed yet. Returns the same for the next batch.

    Any exception leaves the outcome unknown: throw the producer and the partition's state away.
    """
    outbox = Outbox(batch.partition)
    outbox.add(batch.answers, batch.at)
    outbox.add_states(batch.states, batch.forgotten, batch.at)
    position = Outgoing(POSITION_KEY, b"%d" % batch.next_offset, [], epoch_ms(batch.at))
    outbox.records[STATE, batch.partition].append(position)

    await producer.begin_transaction()
    # First: concurrently with produce requests the coordinator answers CONCURRENT_TRANSACTIONS, each a back-off.
    source = TopicPartition(COMMANDS, batch.partition)
    await producer.send_offsets_to_transaction({source: batch.next_offset}, HANDLER_GROUP)
    offsets = await _send(producer, outbox.records)
    event_offsets = offsets.get((EVENTS, batch.partition), [])
    if event_offsets:
        events_end = event_offsets[-1] + 1
    if any(not isinstance(answer, Misplaced) and answer.reply_to for answer in batch.answers):
        await _send_replies(producer, batch, event_offsets, events_end, definition_of)
    await producer.commit_transaction()
    return events_end


async def _send(
    producer: AIOKafkaProducer, records: Mapping[tuple[str, int], list[Outgoing]]
) -> dict[tuple[str, int], list[int]]:
    """Send all, in order per partition, and return the offsets they got.

    Every future is awaited: a failed send does not by itself fail the commit.
    """
    sent = [
        (place, count, future)
        for place, outgoing in records.items()
        for count, future in await _submit(producer, place, outgoing)
    ]
    done = await asyncio.gather(*(future for _, _, future in sent))
    offsets: dict[tuple[str, int], list[int]] = {}
    for (place, count, _), metadata in zip(sent, done, strict=True):
        offsets.setdefault(place, []).extend(range(metadata.offset, metadata.offset + count))
    return offsets


async def _submit(
    producer: AIOKafkaProducer, place: tuple[str, int], records: list[Outgoing]
) -> list[tuple[int, asyncio.Future[RecordMetadata]]]:
    """Hand the records over in as few batches as they fit in: one future per batch, not per record."""
    submitted = []
    topic, partition = place
    builder = producer.create_batch()
    for key, value, headers, timestamp in records:
        if builder.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            count = builder.record_count()
            submitted.append((count, await producer.send_batch(builder, topic, partition=partition)))
            builder = producer.create_batch()
            builder.append(timestamp=timestamp, key=key, value=value, headers=headers)
    count = builder.record_count()
    submitted.append((count, await producer.send_batch(builder, topic, partition=partition)))
    return submitted


async def _send_replies(
    producer: AIOKafkaProducer, batch: Batch, event_offsets: list[int], events_end: int, definition_of: DefinitionOf
) -> None:
    offsets = iter(event_offsets)
    by_topic: dict[str, list[Outgoing]] = {}
    for answer in batch.answers:
        offset = next(offsets) if isinstance(answer, Accepted) else events_end - 1
        if not isinstance(answer, Misplaced) and answer.reply_to:
            position = Position(partition=batch.partition, offset=max(offset, 0))
            record = reply_record(answer, position, definition_of, batch.at)
            by_topic.setdefault(answer.reply_to.topic, []).append(record)
    for topic, records in by_topic.items():
        try:
            async with asyncio.timeout(batch.reply_seconds):
                partitions = len(await producer.partitions_for(topic))
                placed: dict[tuple[str, int], list[Outgoing]] = {}
                for record in records:
                    placed.setdefault((topic, partition_of(record.key or b"", partitions)), []).append(record)
                await _send(producer, placed)
        except (*_FOR_GOOD, TimeoutError) as error:
            raise ReplyRefusedError(topic, error) from error
