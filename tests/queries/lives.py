"""Lives of executions, as the events that the write side publishes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid5

from service.contracts.envelope import envelope_headers
from service.contracts.events import (
    Dependency,
    Event,
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
    encode_event,
)
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.kafka.records import Record
from service.queries.requests import ListTaskExecutions, check

T0 = Timestamp(2026, 3, 2, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def execution_id(name: object) -> str:
    return str(uuid5(UUID(int=7), str(name)))


def life(  # noqa: PLR0913 - one for each thing that tests vary
    name: object,
    status: Status = Status.SUCCESS,
    *,
    at: Timestamp = T0,
    started: bool = True,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    took: timedelta = 2 * SECOND,
    why: str | None = None,
    depends_on: tuple[Dependency, ...] = (),
    **common: Any,
) -> list[Event]:
    """All events of an execution that has come to `status`; `started` decides how one was STOPPED."""
    fields: dict[str, Any] = {
        "execution_id": execution_id(name), "task_id": "etl:load", "task_version": "1.0.0", "created_by": "ana",
        "created_at": at, "tags": (), "command_id": execution_id((name, "command")), "command_hash": "00",
    } | common  # fmt: skip
    events: list[Event] = [
        TaskExecutionCreated(
            sequence=1,
            occurred_at=at,
            status=Status.PENDING,
            resolved_inputs=inputs or {},
            depends_on=depends_on,
            **fields,
        )
    ]
    if status is Status.PENDING:
        return events
    if status is Status.SKIPPED or (status is Status.STOPPED and not started):
        fields |= {"sequence": 2, "previous_status": Status.PENDING}
    else:
        running = fields | {"started_at": at + SECOND, "occurred_at": at + SECOND}
        events.append(
            TaskExecutionStarted(sequence=2, status=Status.RUNNING, previous_status=Status.PENDING, **running)
        )
        fields = running | {"sequence": 3, "previous_status": Status.RUNNING}
    end = Timestamp.of(at + SECOND + took)
    fields |= {"completed_at": end, "occurred_at": end, "status": status}
    match status:
        case Status.SUCCESS:
            events.append(TaskExecutionSucceeded(outputs=outputs or {}, **fields))
        case Status.FAILURE:
            events.append(TaskExecutionFailed(error_message=why or "disk full", **fields))
        case Status.STOPPED:
            events.append(TaskExecutionStopped(requested_by="bo", **fields))
        case Status.SKIPPED:
            events.append(TaskExecutionSkipped(skip_reason=why or "upstream_failed: collect_data", **fields))
        case Status.RUNNING:
            pass
    return events


def body(event: Event) -> bytes:
    return encode_event(event)


def headers(event: Event) -> list[tuple[str, bytes]]:
    id_ = f"{event.execution_id}/{event.sequence}"
    return envelope_headers(type(event).__name__, id_, event.execution_id, event.occurred_at)


def record(event: Event, offset: int, partition: int = 0) -> Record:
    """The event as a consumer sees it."""
    return raw_record(EVENTS_TOPIC, body(event), headers(event), offset, partition)


def raw_record(
    topic: str, value: bytes | None, sent: list[tuple[str, bytes]], offset: int = 0, partition: int = 0
) -> Record:
    return Record(topic, partition, offset, timestamp=0, key=None, value=value, headers=tuple(sent))


def records(events: Iterable[Event], partition: int = 0) -> Iterator[Record]:
    return (record(event, offset, partition) for offset, event in enumerate(events))


def asked(**given: Any) -> ListTaskExecutions:
    """The request for a list, as whoever asks from outside makes it."""
    return check(ListTaskExecutions, **given)
