"""CloudEvents 1.0 over Kafka (Kafka protocol binding 1.0.2): binary and structured mode in, binary mode out."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from msgspec import Struct

from service.contracts.attributes import MAX_ATTRIBUTE, binary_attributes, flaw_of, structured_attributes, text_of
from service.contracts.codec import MAX_DEPTH, MalformedJsonError, decode, pointer
from service.contracts.problems import Code, FieldError, reject
from service.contracts.topics import MAX_COMMAND_BYTES

Headers = list[tuple[str, bytes]]

SOURCE: Final = "/task-execution-service"
"""The CloudEvents source of everything this service publishes."""

JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
CONTENT_TYPE: Final = "content-type"
TRACE_HEADERS: Final = ("traceparent", "tracestate")
"""W3C trace context, carried from a command to all that it causes."""

REPLY_TO: Final = "reply_to"
CORRELATION_ID: Final = "correlation_id"
ORIGIN: Final = "taskexec_origin"
"""`topic/partition/offset` of the record a client wrote, kept when the record is forwarded to its owner partition."""

MAX_COMMAND_DEPTH: Final = MAX_DEPTH - 10
"""How deep a command is nested at most; what is made from it can wrap it further and is still readable."""

_STRUCTURED: Final = STRUCTURED.encode()
_SPECVERSION: Final = ("ce_specversion", b"1.0")
_JSON_CONTENT: Final = (CONTENT_TYPE, JSON.encode())


class Record(Protocol):
    """What we need of a consumed Kafka record."""

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        ...

    @property
    def partition(self) -> int:
        """The partition it was read from."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its body."""
        ...

    @property
    def headers(self) -> Collection[tuple[str, bytes | None]]:
        """Its headers, in order; a name may come twice."""
        ...


class Envelope(Struct, frozen=True, gc=False):
    """The attributes of a CloudEvent and its decoded JSON `data`. `trace` holds the trace headers as they came."""

    id: str
    source: str
    type: str
    subject: str | None
    data: Any
    trace: tuple[tuple[str, bytes], ...] = ()


def read_envelope(record: Record) -> Envelope:
    """Read a CloudEvent. A record without `ce_id` is identified by its own place: topic, partition and offset.

    Raises:
        RejectedError: what is wrong with the envelope and its JSON, everything at once.
    """
    value = record.value
    if value is None:
        raise reject(Code.INVALID_ENVELOPE, "The record has no value. Send the command as a JSON object.")
    if len(value) > MAX_COMMAND_BYTES:
        raise reject(
            Code.PAYLOAD_TOO_LARGE, f"The command has {len(value)} bytes; at most {MAX_COMMAND_BYTES} are allowed."
        )
    headers = {name.lower(): content for name, content in record.headers}
    errors = _repeated(record.headers) if len(headers) < len(record.headers) else []
    structured = (headers.get(CONTENT_TYPE) or b"").partition(b";")[0].strip().lower() == _STRUCTURED
    try:
        data = decode(value, MAX_COMMAND_DEPTH)
    except MalformedJsonError as error:
        if not structured:
            binary_attributes(headers, errors)
        detail = f"The value is not strict JSON: {error.detail}."
        errors.insert(0, FieldError(pointer=error.pointer, detail=error.detail))
        raise reject(Code.INVALID_JSON, detail, tuple(errors)) from None
    if structured:
        attributes, data = structured_attributes(data, errors)
    else:
        attributes = binary_attributes(headers, errors)
    origin = _origin(headers[ORIGIN], errors) if ORIGIN in headers else None
    if errors:
        raise reject(
            Code.INVALID_ENVELOPE,
            "The record is not a valid CloudEvent 1.0: see errors. Binary mode takes ce_specversion, ce_id, "
            "ce_source and ce_type as headers; structured mode takes content-type application/cloudevents+json.",
            tuple(errors),
        )
    return Envelope(
        id=attributes.get("id") or origin or f"{record.topic}/{record.partition}/{record.offset}",
        source=attributes.get("source") or f"/kafka/{record.topic}",
        type=attributes["type"],
        subject=attributes.get("subject"),
        data=data,
        trace=_trace(headers),
    )


def envelope_headers(  # noqa: PLR0913 - one for each CloudEvents attribute
    type_: str,
    id_: str,
    subject: str | None,
    at: datetime,
    *,
    source: str = SOURCE,
    trace: Iterable[tuple[str, bytes]] = (),
) -> Headers:
    """The Kafka headers of a CloudEvent in binary mode with a JSON body; `trace` is passed on as it came."""
    return [
        _SPECVERSION,
        ("ce_id", id_.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_.encode()),
        *([("ce_subject", subject.encode())] if subject else []),
        ("ce_time", rfc3339(at).encode()),
        _JSON_CONTENT,
        *trace,
    ]


@lru_cache(maxsize=256)  # all events of a batch have one time
def rfc3339(at: datetime) -> str:
    """An aware time as RFC 3339 in UTC, in milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _repeated(headers: Iterable[tuple[str, bytes | None]]) -> list[FieldError]:
    lowered = [name.lower() for name, _ in headers]
    names = [name for name in lowered if name.startswith("ce_") or name in {CONTENT_TYPE, ORIGIN}]
    return [
        FieldError(pointer=pointer("#/headers", name), detail="the header is given more than once")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _trace(headers: dict[str, bytes | None]) -> tuple[tuple[str, bytes], ...]:
    if headers.keys().isdisjoint(TRACE_HEADERS):
        return ()
    # What is longer is no trace context, and could make what we write too large for the broker.
    return tuple(
        (name, content)
        for name in TRACE_HEADERS
        if (content := headers.get(name)) is not None and len(content) <= MAX_ATTRIBUTE
    )


def _origin(content: bytes | None, errors: list[FieldError]) -> str | None:
    place = text_of(ORIGIN, content, errors)
    if place is not None and (flaw := flaw_of(place)):
        errors.append(FieldError(pointer=f"#/headers/{ORIGIN}", detail=flaw))
    return place
