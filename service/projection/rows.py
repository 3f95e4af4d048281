"""Consumed records to rows of the read model. Pure.

An event of a later version is kept whole, as far as this one understands what all events share. A record that it cannot
read as the event or rejection it must be makes its partition stop before it: `UnreadableRecordError`. Only our own
transactional producer writes these topics, so such a record is a newer version's or a defect; skipping it would make
every later answer about its execution silently wrong, whereas Kafka keeps it until a version that can read it goes on
from there.
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import ValidationError

from service.contracts.codec import MalformedJsonError, decode
from service.contracts.envelope import CONTENT_TYPE, STRUCTURED
from service.contracts.events import AnyEvent, read_event
from service.contracts.kept_bodies import Moments, kept_otherwise
from service.contracts.problems import field_errors
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalRecord
from service.contracts.timestamps import epoch_ms
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.records import Record
from service.ports.projection_store import EventRow, RejectionRow
from service.projection.own_events import own_row

_EVENT_NAME: Final = re.compile(r"TaskExecution[A-Z][A-Za-z]*")
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder: Final = msgspec.json.Encoder()


class UnreadableRecordError(Exception):
    """This record is not what its topic holds. The action: stop its partition here, and alarm."""

    def __init__(self, record: Record, flaw: str) -> None:
        super().__init__(f"{record.topic}/{record.partition}/{record.offset}: {flaw}")
        self.flaw = flaw


def event_row(record: Record) -> EventRow:
    """The event as it is stored.

    Raises:
        UnreadableRecordError: see above.
    """
    type_ = _header(record.headers, "ce_type")
    if row := own_row(type_, record):
        return row
    return any_event_row(type_, record)


def any_event_row(type_: str, record: Record) -> EventRow:
    """The same, whoever wrote it."""
    if _EVENT_NAME.fullmatch(type_) is None:
        raise UnreadableRecordError(record, f"the type is {type_!r}: not the name of an event")
    try:
        body = record.value or b""
        event = read_event(type_, body)
        started = epoch_ms(event.started_at) if event.started_at else None
        completed = epoch_ms(event.completed_at) if event.completed_at else None
        return EventRow(
            execution_id=UUID(event.execution_id),
            sequence=event.sequence,
            type=type_,
            status=event.status.value,
            previous_status=event.previous_status and event.previous_status.value,
            task_id=event.task_id,
            task_version=event.task_version,
            created_at=epoch_ms(event.created_at),
            started_at=started,
            completed_at=completed,
            created_by=event.created_by,
            tags=list(event.tags),
            payload=_payload(event, body, started, completed),
            topic=EVENTS_TOPIC,
            partition=record.partition,
            offset=record.offset,
        )
    except ValueError as error:
        raise UnreadableRecordError(record, _flaw(error)) from error


def _payload(event: AnyEvent, body: bytes, started: int | None, completed: int | None) -> str:
    """The body as it is kept, most fields in the bytes that were published: what a later version adds, too."""
    moments = Moments(epoch_ms(event.created_at), started, completed, epoch_ms(event.occurred_at))
    otherwise = kept_otherwise(event.sequence, event.status, event.previous_status, moments)
    kept = {name: otherwise.get(name, raw) for name, raw in _fields.decode(body).items()}
    return _encoder.encode({name: value for name, value in kept.items() if value is not None}).decode()


def rejection_row(record: Record) -> RejectionRow:
    """The rejection as it is stored; of the refused command, what can be read.

    Raises:
        UnreadableRecordError: see above.
    """
    type_ = _header(record.headers, "ce_type")
    if type_ != REJECTION_TYPE:
        raise UnreadableRecordError(record, f"the type is {type_!r}, not {REJECTION_TYPE}")
    try:
        rejected = CommandRejected.model_validate(_decode_rejection(record.value or b""))
        command = _refused_command(rejected.record)
    except ValueError as error:
        raise UnreadableRecordError(record, _flaw(error)) from error
    problem = rejected.problem
    execution_id, command_type, command_source = command
    return RejectionRow(
        topic=REJECTIONS_TOPIC,
        partition=record.partition,
        offset=record.offset,
        time=record.timestamp,
        code=problem.code.value,
        detail=problem.detail,
        execution_id=execution_id,
        command_type=command_type,
        command_source=command_source,
        problem=problem.model_dump_json(exclude_none=True),
        record=rejected.record.model_dump_json(exclude_none=True),
    )


def _decode_rejection(body: bytes) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return decode(body)
    except MalformedJsonError:  # earlier versions repeated the name of a refused header with its NULs
        return decode(body.replace(b"\\u0000", b"\\ufffd"))


def _flaw(error: ValueError) -> str:
    """What is wrong, without the values: a log is no place for payloads."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{flaw.pointer}: {flaw.detail}" for flaw in field_errors(error, ()))
    return str(error)


def _refused_command(record: OriginalRecord) -> tuple[UUID | None, str, str]:
    """What the refused record says of itself, where it says it: executionId, type and source."""
    headers = [(header.name.lower(), b64decode(header.value)) for header in record.headers]
    body = _json_object(b64decode(record.value)) if record.value is not None else {}
    attributes: dict[str, Any] = {"type": _header(headers, "ce_type"), "source": _header(headers, "ce_source")}
    if _header(headers, CONTENT_TYPE).startswith(STRUCTURED):
        attributes, data = body, body.get("data")
        body = data if isinstance(data, dict) else {}
    return _uuid(body.get("executionId")), str(attributes.get("type", "")), str(attributes.get("source", ""))


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = decode(raw)
    except MalformedJsonError:
        return {}
    return value if isinstance(value, dict) else {}


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _header(headers: Iterable[tuple[str, bytes | None]], wanted: str) -> str:
    for name, value in headers:
        if name == wanted:
            return (value or b"").decode(errors="replace")
    return ""
