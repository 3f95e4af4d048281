"""One batch of records as rows to insert, and the records that stop their partition. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from aiokafka import TopicPartition

from service.contracts.status import Status
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.connection import Kafka
from service.kafka.records import Record
from service.ports.projection_store import EventRow, RejectionRow
from service.projection.rows import UnreadableRecordError, event_row, rejection_row

TOPICS: Final = (EVENTS_TOPIC, REJECTIONS_TOPIC)
"""Every topic that is projected."""

Row = TypeVar("Row", EventRow, RejectionRow)
Unreadable = dict[TopicPartition, tuple[int, UnreadableRecordError]]


@dataclass
class Insert(Generic[Row]):
    """The rows of one topic. `token` names the records they were made of: the same token, the same rows."""

    rows: list[Row] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """`topic:partition:first-last` of each partition."""
        return ",".join(sorted(self.ranges))


@dataclass
class Batch:
    """What to insert; `unreadable` is the first record of each partition that could not be read."""

    events: Insert[EventRow] = field(default_factory=Insert)
    rejections: Insert[RejectionRow] = field(default_factory=Insert)
    unreadable: Unreadable = field(default_factory=dict)
    newest: int = 0
    """When the newest of these records was written, in epoch milliseconds; 0 if there is none."""


_ORDER: Final = {status.value: number for number, status in enumerate(Status)}


def make_batch(records: Mapping[TopicPartition, Sequence[Record]], kafka: Kafka) -> Batch:
    """Turn consumed records into rows, of each partition up to the first one that cannot be read."""
    batch = Batch()
    for partition, consumed in records.items():
        batch.newest = max(batch.newest, *(record.timestamp for record in consumed[-1:]))
        if partition.topic == kafka.topic(EVENTS_TOPIC):
            _add(batch.events, event_row, partition, consumed, batch.unreadable)
        else:
            _add(batch.rejections, rejection_row, partition, consumed, batch.unreadable)
    # A store may show the rows of one insert one after the other: none is to have ended before it was created.
    batch.events.rows.sort(key=lambda row: _ORDER[row.status])
    return batch


def _add(
    insert: Insert[Row],
    make_row: Callable[[Record], Row],
    partition: TopicPartition,
    consumed: Sequence[Record],
    unreadable: Unreadable,
) -> None:
    rows: list[Row] = []
    for record in consumed:
        try:
            rows.append(make_row(record))
        except UnreadableRecordError as error:
            unreadable[partition] = record.offset, error
            break
    if rows:
        insert.rows += rows
        first, last = consumed[0].offset, consumed[len(rows) - 1].offset
        insert.ranges.append(f"{partition.topic}:{partition.partition}:{first}-{last}")
