"""Commands in binary mode, read the short way: where their headers stand is found out once for all that look alike.

`CommandReader` reads anything else the long way, and says what is wrong with it.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from msgspec import Struct

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.codec import MalformedJsonError, read
from service.contracts.envelope import (
    CONTENT_TYPE,
    CORRELATION_ID,
    HEADER_OVERHEAD,
    JSON,
    MAX_COMMAND_DEPTH,
    REPLY_TO,
    TRACE_HEADERS,
    Envelope,
    is_structured,
    is_trace,
)
from service.contracts.topics import MAX_COMMAND_BYTES
from service.kafka.records import Record

_MAX_LAYOUTS: Final = 1_000
_MAX_HEADERS: Final = 32
_MAX_NAMES: Final = 1_024
_REQUIRED: Final = {"ce_specversion", "ce_id", "ce_source", "ce_type"}
_JSON: Final = JSON.encode()
_PRINTABLE: Final = bytes(range(0x20, 0x7F))


class Glance(Struct, frozen=True, gc=False):
    """What a command says: the event, its data as sorted JSON, and who wants a reply."""

    envelope: Envelope
    payload: bytes
    reply_topic: bytes | None
    correlation_id: bytes | None


class _Layout(Struct, frozen=True):
    """Where things stand among headers of these names, None for those that are missing.

    `attributes` takes all that begin with `ce_`.
    """

    size: int
    attributes: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
    specversion: int
    id: int
    source: int
    type: int
    subject: int | None
    content_type: int | None
    reply_to: int | None
    correlation_id: int | None
    trace: tuple[tuple[str, int], ...]


_layouts: dict[tuple[str, ...], _Layout | None] = {}


def glance(record: Record) -> Glance | None:
    """What the command says, exactly as read the long way; None if that is the only way to read it."""
    raw: Any = record.value
    if type(raw) is not bytes or not record.headers:  # a CutValue is bytes, too
        return None
    names, values = zip(*record.headers, strict=True)
    try:
        layout = _layouts[names]
    except KeyError:
        layout = _learn(names)
    if layout is None or None in values or values[layout.specversion] != b"1.0":
        return None
    size = layout.size + len(b"".join(values)) + len(raw) + len(record.key or b"")
    if size > MAX_COMMAND_BYTES or not (_are_plain(values) or _are_plain(layout.attributes(values))):
        return None
    if layout.content_type is not None:
        content_type = values[layout.content_type]
        if content_type != _JSON and is_structured(content_type):
            return None
    try:
        data, payload = read(raw, MAX_COMMAND_DEPTH)
    except MalformedJsonError:
        return None
    envelope = Envelope(
        values[layout.id].decode(),
        values[layout.source].decode(),
        values[layout.type].decode(),
        None if layout.subject is None else values[layout.subject].decode(),
        data,
        tuple((name, values[at]) for name, at in layout.trace if is_trace(values[at])) if layout.trace else (),
    )
    return Glance(
        envelope,
        payload,
        None if layout.reply_to is None else values[layout.reply_to],
        None if layout.correlation_id is None else values[layout.correlation_id],
    )


def _are_plain(texts: tuple[bytes, ...]) -> bool:
    together = b"".join(texts)
    return len(together) <= MAX_ATTRIBUTE and b"" not in texts and not together.translate(None, _PRINTABLE)


def _learn(names: tuple[str, ...]) -> _Layout | None:
    """The layout of these headers, remembered; None where a header comes twice, or is not written in the usual way."""
    size = sum(len(name.encode()) + HEADER_OVERHEAD for name in names)
    if len(names) > _MAX_HEADERS or size > _MAX_NAMES:
        return None
    at = {name.lower(): index for index, name in enumerate(names)}
    layout = None
    if tuple(at) == names and at.keys() >= _REQUIRED:
        layout = _Layout(
            size=size,
            attributes=itemgetter(*(index for name, index in at.items() if name.startswith("ce_"))),
            specversion=at["ce_specversion"],
            id=at["ce_id"],
            source=at["ce_source"],
            type=at["ce_type"],
            subject=at.get("ce_subject"),
            content_type=at.get(CONTENT_TYPE),
            reply_to=at.get(REPLY_TO),
            correlation_id=at.get(CORRELATION_ID),
            trace=tuple((name, at[name]) for name in TRACE_HEADERS if name in at),
        )
    if len(_layouts) >= _MAX_LAYOUTS:
        _layouts.clear()
    _layouts[names] = layout
    return layout
