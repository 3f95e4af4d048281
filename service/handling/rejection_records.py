"""What is kept of a refused command: why, and the record itself, as far as it can be kept."""

from base64 import b64encode
from hashlib import sha256

from service.contracts.codec import encode
from service.contracts.envelope import envelope_headers
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalHeader, OriginalRecord
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import MAX_COMMAND_BYTES
from service.handling.batches import Outgoing
from service.handling.deciding import Refused
from service.handling.records import trace_of
from service.handling.withholding import Withholding
from service.kafka.records import CutValue, Record

_HEAD_BYTES = 4096
_MAX_HEADERS, _MAX_NAME = 100, 256
_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, and of RFC 3339; a record may name any 64-bit number as its time."""


def rejection_record(answer: Refused, at: Timestamp) -> Outgoing:
    """The problem with the original record, which is thereby not lost."""
    record = answer.record
    id_ = f"{record.topic}/{record.partition}/{record.offset}"
    headers = envelope_headers(REJECTION_TYPE, id_, id_, at, trace=trace_of(record))
    body = CommandRejected(problem=answer.problem, record=_original(record, answer.withheld))
    value = encode(body.model_dump(mode="json", by_alias=True, exclude_none=True))
    return Outgoing(record.key[:_HEAD_BYTES] if record.key else None, value, headers, epoch_ms(at))


def _original(record: Record, withheld: Withholding | None) -> OriginalRecord:
    value = b"" if record.value is None else record.value
    size, digest = (value.size, value.sha256) if isinstance(value, CutValue) else (len(value), None)
    unread = isinstance(value, CutValue) and digest is None
    whole = size == len(value) <= MAX_COMMAND_BYTES and not unread
    headers = (
        OriginalHeader(name=name[:_MAX_NAME].replace("\0", "\ufffd"), value=_base64((content or b"")[:_HEAD_BYTES]))
        for name, content in list(record.headers)[:_MAX_HEADERS]
    )
    if withheld is not None:
        told = {"value": None if withheld.value is None else _base64(withheld.value), "value_withheld": withheld.extent}
    else:
        told = {
            "value": _base64(value) if whole and record.value is not None else None,
            "value_sha256": None if whole or unread else digest or sha256(value).hexdigest(),
            "value_head": None if whole or unread else _base64(value[:_HEAD_BYTES]),
        }
    return OriginalRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=Timestamp.from_epoch_ms(min(max(record.timestamp, 0), _LATEST_MS)),
        headers=tuple(headers),
        key=_base64(record.key[:_HEAD_BYTES]) if record.key is not None else None,
        value_size=size,
        **told,
    )


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
