"""Rows of the events that this version could have written itself, which nearly all are: in half the time.

Such an event is read once, by structs made of the contract's: times stay texts, inputs and outputs the bytes that they
are, and what the payload has is written from there. Whatever is out of the ordinary is left to
`service/projection/rows.py`, which makes the same row of all the others.
"""

from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import NODEFAULT, UNSET, Raw, UnsetType

from service.contracts.events import EVENT_TYPES, PAYLOADS, Event
from service.contracts.kept_bodies import Moments, kept_otherwise
from service.contracts.timestamps import parsed_ms
from service.contracts.topics import EVENTS_TOPIC
from service.kafka.records import Record
from service.ports.projection_store import EventRow

_READ_AS: Final[dict[str, Any]] = {
    "executionId": UUID,
    "occurredAt": str,
    "createdAt": str,
    "startedAt": str,
    "completedAt": str,
    "notBefore": str,
    "tags": list[str],
    "resolvedInputs": Raw,
    "outputs": Raw,
}
"""Of the other fields, the contract says it."""

_values: Final = msgspec.json.Decoder(dict[str, Any])
_encoder: Final = msgspec.json.Encoder()


def _decoder(kind: type[Event]) -> "msgspec.json.Decoder[Any]":
    """What is not there is UNSET, which is not written either."""
    fields = [
        (field.encode_name, _READ_AS.get(field.encode_name, field.type), NODEFAULT if field.required else UNSET)
        for field in msgspec.structs.fields(kind)
        if field.name != "sensitive"  # of few, and not to be read as bytes
    ]
    version = ("schemaVersion", Literal[2])
    read = msgspec.defstruct(kind.__name__, [version, *fields], kw_only=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(read)


_decoders: Final = {name: _decoder(kind) for name, kind in EVENT_TYPES.items()}


def own_row(type_: str, record: Record) -> EventRow | None:
    """The row of this event; None if it is out of the ordinary, or no event at all."""
    if (decoder := _decoders.get(type_)) is None:
        return None
    try:
        event = decoder.decode(record.value or b"")
        for name in PAYLOADS:
            if hasattr(event, name):
                _values.decode(getattr(event, name))  # bytes alone could be what nobody can read
        created, started, completed = parsed_ms(event.createdAt), _ms(event.startedAt), _ms(event.completedAt)
        _ms(getattr(event, "notBefore", UNSET))  # no column has it, but nobody could read it later
        status, previous = event.status.value, event.previousStatus.value if event.previousStatus else None
        row = (
            event.executionId, event.sequence, type_, status, previous, event.taskId, event.taskVersion,
            created, started, completed, event.createdBy, event.tags,
        )  # fmt: skip
        moments = Moments(created, started, completed, parsed_ms(event.occurredAt))
        otherwise = kept_otherwise(event.sequence, status, previous, moments)
        for name, value in otherwise.items():
            setattr(event, name, UNSET if value is None else value)
        payload = _encoder.encode(event).decode()
    except ValueError:
        return None
    return EventRow(*row, payload, EVENTS_TOPIC, record.partition, record.offset)


def _ms(text: str | UnsetType) -> int | None:
    return None if text is UNSET else parsed_ms(text)
