"""CloudEvents 1.0 over Kafka (Kafka protocol binding 1.0.2): binary and structured mode in, binary mode out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pydantic import JsonValue

from service.contracts.codec import MAX_DEPTH, MalformedJsonError, decode, pointer
from service.contracts.model import no_control_characters
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

MAX_ATTRIBUTE: Final = 1024
"""How many characters a CloudEvents attribute has at most, and how many bytes a trace header."""

MAX_COMMAND_DEPTH: Final = MAX_DEPTH - 10
"""How deep a command is nested at most; what is made from it can wrap it further and is still readable."""

_STRUCTURED: Final = STRUCTURED.encode()
_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "subject")


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
    def headers(self) -> Iterable[tuple[str, bytes | None]]:
        """Its headers, in order; a name may come twice."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
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
    pairs = [(name.lower(), content) for name, content in record.headers]
    headers = dict(pairs)
    errors = _repeated(pairs) if len(headers) < len(pairs) else []
    structured = (headers.get(CONTENT_TYPE) or b"").partition(b";")[0].strip().lower() == _STRUCTURED
    try:
        data = decode(value, MAX_COMMAND_DEPTH)
    except MalformedJsonError as error:
        if not structured:
            _binary(headers, errors)
        detail = f"The value is not strict JSON: {error.detail}."
        errors.insert(0, FieldError(pointer=error.pointer, detail=error.detail))
        raise reject(Code.INVALID_JSON, detail, tuple(errors)) from None
    if structured:
        attributes, data = _structured(data, errors)
    else:
        attributes = _binary(headers, errors)
    place = _place(record, headers, errors)
    if errors:
        raise reject(
            Code.INVALID_ENVELOPE,
            "The record is not a valid CloudEvent 1.0: see errors. Binary mode takes ce_specversion, ce_id, "
            "ce_source and ce_type as headers; structured mode takes content-type application/cloudevents+json.",
            tuple(errors),
        )
    return Envelope(
        id=attributes.get("id") or place,
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
        ("ce_specversion", b"1.0"),
        ("ce_id", id_.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_.encode()),
        *([("ce_subject", subject.encode())] if subject else []),
        ("ce_time", rfc3339(at).encode()),
        (CONTENT_TYPE, JSON.encode()),
        *trace,
    ]


def rfc3339(at: datetime) -> str:
    """An aware time as RFC 3339 in UTC, in milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _repeated(pairs: list[tuple[str, bytes | None]]) -> list[FieldError]:
    names = [name for name, _ in pairs if name.startswith("ce_") or name in {CONTENT_TYPE, ORIGIN}]
    return [
        FieldError(pointer=pointer("#/headers", name), detail="the header is given more than once")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _trace(headers: dict[str, bytes | None]) -> tuple[tuple[str, bytes], ...]:
    # What is longer is no trace context, and could make what we write too large for the broker.
    return tuple(
        (name, content)
        for name in TRACE_HEADERS
        if (content := headers.get(name)) is not None and len(content) <= MAX_ATTRIBUTE
    )


def _place(record: Record, headers: dict[str, bytes | None], errors: list[FieldError]) -> str:
    if ORIGIN not in headers:
        return f"{record.topic}/{record.partition}/{record.offset}"
    place = _text(ORIGIN, headers[ORIGIN], errors)
    if place is not None and (flaw := _flaw(place)):
        errors.append(FieldError(pointer=f"#/headers/{ORIGIN}", detail=flaw))
    return place or ""


def _binary(headers: dict[str, bytes | None], errors: list[FieldError]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for name, content in headers.items():
        if name.startswith("ce_") and (text := _text(name, content, errors)) is not None:
            attributes[name[3:]] = text
    _check(attributes, "#/headers/ce_", errors)
    return attributes


def _text(header: str, content: bytes | None, errors: list[FieldError]) -> str | None:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        errors.append(FieldError(pointer=pointer("#/headers", header), detail="the header is not UTF-8"))
        return None


def _structured(body: JsonValue, errors: list[FieldError]) -> tuple[dict[str, str], JsonValue]:
    if not isinstance(body, dict):
        errors.append(FieldError(pointer="#", detail="a structured CloudEvent is an object"))
        return {}, None
    if "data_base64" in body:
        errors.append(FieldError(pointer="#/data_base64", detail="binary data is not supported; send JSON as `data`"))
    attributes: dict[str, str] = {}
    for name in _ATTRIBUTES:
        value = body.get(name)
        if isinstance(value, str):
            attributes[name] = value
        elif value is not None:  # null means absent (CloudEvents JSON format 1.0.2)
            errors.append(FieldError(pointer=f"#/{name}", detail="must be a string"))
    _check(attributes, "#/", errors)
    return attributes, body.get("data")


def _check(attributes: dict[str, str], prefix: str, errors: list[FieldError]) -> None:
    """Add what is wrong with the attributes that we use; those that could not be read are in `errors` already."""
    reported = {error.pointer for error in errors}
    flaws = {name: flaw for name in _ATTRIBUTES if name in attributes and (flaw := _flaw(attributes[name]))}
    for name in ("specversion", "type", "source") if "id" in attributes else ("specversion", "type"):
        if name not in attributes and prefix + name not in reported:
            flaws[name] = "the attribute is required"
    if attributes.get("specversion", "1.0") != "1.0":
        flaws["specversion"] = "must be 1.0"
    errors += [FieldError(pointer=prefix + name, detail=flaw) for name, flaw in flaws.items()]


def _flaw(text: str) -> str | None:
    if text.isprintable() and 0 < len(text) <= MAX_ATTRIBUTE:
        return None
    if not text:
        return "must not be empty"
    if len(text) > MAX_ATTRIBUTE:
        return f"must have at most {MAX_ATTRIBUTE} characters"
    try:
        no_control_characters(text)
    except ValueError as error:
        return str(error)
    return None
