"""CloudEvents 1.0 over Kafka (Kafka protocol binding 1.0.2): binary and structured mode in, binary mode out."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol, TypeGuard

from msgspec import Struct

from service.contracts.attributes import MAX_ATTRIBUTE, binary_attributes, structured_attributes
from service.contracts.codec import MAX_DEPTH, MalformedJsonError, decode, pointer
from service.contracts.problems import Code, FieldError, reject
from service.contracts.timestamps import rfc3339
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
HEADER_OVERHEAD: Final = 4
"""What a header takes on the wire beside its name and value: their lengths, up to two bytes each."""

MAX_COMMAND_DEPTH: Final = MAX_DEPTH - 10
"""How deep a command is nested at most; what is made from it can wrap it further and is still readable."""

_STRUCTURED: Final = STRUCTURED.encode()
_ANY_STRUCTURED: Final = b"application/cloudevents"
_SPECVERSION: Final = ("ce_specversion", b"1.0")
_JSON_CONTENT: Final = (CONTENT_TYPE, JSON.encode())
_PRINTABLE: Final = bytes(range(0x20, 0x7F))


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
    """The attributes of a CloudEvent and its decoded JSON `data`. `trace` holds the trace headers as they came.

    `placed`: the client gave no id; the record's place stands in.
    """

    id: str
    source: str
    type: str
    subject: str | None
    data: Any
    trace: tuple[tuple[str, bytes], ...] = ()
    placed: bool = False


def read_envelope(record: Record) -> Envelope:
    """Read a CloudEvent. A record without an id is named by its own place: topic, partition and offset.

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
    content_type = headers.get(CONTENT_TYPE) or b""
    structured = is_structured(content_type)
    if is_foreign(content_type) and "ce_specversion" not in headers:
        detail = f"this format of CloudEvents is not read; write {STRUCTURED}, or binary mode"
        errors.append(FieldError(pointer=pointer("#/headers", CONTENT_TYPE), detail=detail))
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
    if errors:
        raise reject(
            Code.INVALID_ENVELOPE,
            "The record is not a valid CloudEvent 1.0: see errors. Binary mode takes ce_specversion, ce_id, "
            "ce_source and ce_type as headers; structured mode takes content-type application/cloudevents+json.",
            tuple(errors),
        )
    id_ = attributes.get("id")
    return Envelope(
        id=id_ or f"{record.topic}/{record.partition}/{record.offset}",
        source=attributes.get("source") or f"/kafka/{record.topic}",
        type=attributes["type"],
        subject=attributes.get("subject"),
        data=data,
        trace=_trace(headers),
        placed=id_ is None,
    )


def is_structured(content_type: bytes) -> bool:
    """Whether a record of this content type is a CloudEvent in structured mode."""
    return content_type.partition(b";")[0].strip().lower() == _STRUCTURED


def is_foreign(content_type: bytes) -> bool:
    """Whether it is that of a CloudEvent in structured mode, or of a batch, in a format that is not read."""
    return content_type.lower().startswith(_ANY_STRUCTURED) and not is_structured(content_type)


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
    kind, time = _kind_and_time(type_, at)
    subjects = (("ce_subject", subject.encode()),) if subject else ()
    return [_SPECVERSION, ("ce_id", id_.encode()), _named(source), kind, *subjects, time, _JSON_CONTENT, *trace]


@lru_cache(maxsize=1024)  # what is made of a batch has one time, and few types
def _kind_and_time(type_: str, at: datetime) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return ("ce_type", type_.encode()), ("ce_time", rfc3339(at).encode())


@lru_cache(maxsize=16)
def _named(source: str) -> tuple[str, bytes]:
    return ("ce_source", source.encode())


def _repeated(headers: Iterable[tuple[str, bytes | None]]) -> list[FieldError]:
    given = Counter(name.lower() for name, _ in headers)
    return [
        FieldError(pointer=pointer("#/headers", name), detail="the header is given more than once")
        for name, count in sorted(given.items())
        if count > 1 and (name.startswith("ce_") or name == CONTENT_TYPE)
    ]


def is_trace(content: bytes | None) -> TypeGuard[bytes]:
    """Whether a trace header is passed on.

    W3C's are ASCII. What is longer could make what we write too large for the broker; other bytes would break those
    who read all headers as text, as the binding lets them.
    """
    return content is not None and 0 < len(content) <= MAX_ATTRIBUTE and not content.translate(None, _PRINTABLE)


def _trace(headers: dict[str, bytes | None]) -> tuple[tuple[str, bytes], ...]:
    if headers.keys().isdisjoint(TRACE_HEADERS):
        return ()
    return tuple((name, content) for name in TRACE_HEADERS if is_trace(content := headers.get(name)))
