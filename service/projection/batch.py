"""One batch of records as rows to insert, and the records that stop their partition. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition

from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.records import Record
from service.projection.rows import (
    EVENT_COLUMNS,
    REJECTION_COLUMNS,
    Row,
    UnreadableRecordError,
    event_row,
    rejection_row,
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a topic's records go, and how."""

    table: str
    columns: tuple[str, ...]
    row: Callable[[Record], Row]


TARGETS: Final = {
    EVENTS_TOPIC: Target("task_execution_events", EVENT_COLUMNS, event_row),
    REJECTIONS_TOPIC: Target("task_command_rejections", REJECTION_COLUMNS, rejection_row),
}
"""Every topic that is projected."""


@dataclass
class Insert:
    """The rows for one table. `token` names the records they were made of: the same token, the same rows."""

    rows: list[Row] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """`topic:partition:first-last` of each partition."""
        return ",".join(sorted(self.ranges))


@dataclass
class Batch:
    """`inserts` by topic; `unreadable` is the first record of each partition that could not be read."""

    inserts: dict[str, Insert] = field(default_factory=dict)
    unreadable: dict[TopicPartition, tuple[int, UnreadableRecordError]] = field(default_factory=dict)


def make_batch(records: Mapping[TopicPartition, Sequence[Record]]) -> Batch:
    """Turn consumed records into rows, of each partition up to the first one that cannot be read."""
    batch = Batch()
    for partition, consumed in records.items():
        make_row = TARGETS[partition.topic].row
        rows: list[Row] = []
        for record in consumed:
            try:
                rows.append(make_row(record))
            except UnreadableRecordError as error:
                batch.unreadable[partition] = record.offset, error
                break
        if rows:
            insert = batch.inserts.setdefault(partition.topic, Insert())
            insert.rows += rows
            first, last = consumed[0].offset, consumed[len(rows) - 1].offset
            insert.ranges.append(f"{partition.topic}:{partition.partition}:{first}-{last}")
    return batch
