"""Makes of a refused record the record that is sent again. Pure."""

from base64 import b64decode
from typing import Final

from service.client.messages import Message
from service.contracts.codec import MalformedJsonError, decode
from service.contracts.envelope import CONTENT_TYPE, CORRELATION_ID, MAX_COMMAND_DEPTH, REPLY_TO, is_structured
from service.contracts.rejections import OriginalRecord

_REPLIES: Final = (REPLY_TO, CORRELATION_ID)
_ID: Final = "ce_id"
_SOURCE: Final = "ce_source"
_CUT: Final = 4_096
_MOST_HEADERS: Final = 100
"""Where what is kept of a record may have been cut: see `handling.rejection_records`."""


class NotKeptError(Exception):
    """The record cannot be sent again as it was; the message says why. The action it asks for: send a command anew."""


def redriven(record: OriginalRecord | None) -> Message:
    """The record as it was, but that its reply goes to whoever sends it now.

    One that was named by its place alone is given that name, so that sending it twice does nothing twice.

    Raises:
        NotKeptError: not all of it is kept, or it has no name and cannot be given one.
    """
    if record is None:
        raise NotKeptError("It was refused by an older version, which kept no records.")
    if record.value_withheld is not None:
        raise NotKeptError("Its value may hold values of sensitive variables, and is not kept.")
    if record.value is None and record.value_size:
        raise NotKeptError("Its value is too large: only its head is kept.")
    key = None if record.key is None else b64decode(record.key)
    value = None if record.value is None else b64decode(record.value)
    headers = [(one.name, b64decode(one.value)) for one in record.headers]
    if len(headers) == _MOST_HEADERS or any(len(part) == _CUT for part in (key or b"", *(part for _, part in headers))):
        raise NotKeptError("Its key or its headers are too large: not all of them is kept.")
    headers = [(name, content) for name, content in headers if name.lower() not in _REPLIES]
    if key is None and value is None:
        raise NotKeptError("It has neither a key nor a value: there is nothing to send.")
    return Message(key, value, [*headers, *_name(record, headers, value)])


def _name(record: OriginalRecord, headers: list[tuple[str, bytes]], value: bytes | None) -> list[tuple[str, bytes]]:
    """What names a record that has no id, as the handler names it: by its place."""
    given = {name.lower(): content for name, content in headers}
    if is_structured(given.get(CONTENT_TYPE, b"")):
        if _has_no_id(value or b""):
            raise NotKeptError("It is a structured CloudEvent without an id: sent twice, it would be done twice.")
        return []
    if _ID in given:
        return []
    place = f"{record.topic}/{record.partition}/{record.offset}"
    source = [] if _SOURCE in given else [(_SOURCE, f"/kafka/{record.topic}".encode())]
    return [(_ID, place.encode()), *source]


def _has_no_id(value: bytes) -> bool:
    try:
        body = decode(value, MAX_COMMAND_DEPTH)
    except MalformedJsonError:
        return False  # it will be refused again
    return isinstance(body, dict) and not body.get("id")
