"""Reads a record batch that must not, or cannot, be read at once: record by record, unpacking it on the way.

Nothing that a client can write into a batch makes it hold more than one record of the largest size.
"""

import struct
from collections.abc import Generator, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import encode_varint

from service.contracts.envelope import CORRELATION_ID, REPLY_TO
from service.contracts.topics import MAX_COMMAND_BYTES, MAX_RECORD_BYTES
from service.kafka.byte_stream import HEAD_BYTES, BrokenStreamError, ByteStream
from service.kafka.records import CutValue
from service.kafka.unpacking import UnpackingError, unpacked

MAX_BATCH_BYTES: Final = 1 << 30
"""What is read of a batch at most, unpacked."""

MAX_HEADERS: Final = MAX_COMMAND_BYTES // 4
"""More do not fit into a command: on the wire, each takes two bytes or more, and is counted as four."""

HEADER_COST: Final = 100
"""What a header takes in memory beside its bytes, and in work."""

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""Before a batch's records: offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and greatest
timestamp, producer id, producer epoch, sequence, number of records (KIP-98)."""

ATTRIBUTES_AT: Final = 22
CODEC_MASK: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
_PART_BYTES: Final = 64 << 10
_RECORD_COST: Final = 256
_KEPT_HEADERS: Final = 100
_REPLY_HEADERS: Final = (REPLY_TO, CORRELATION_ID)
_SMALL_BYTES: Final = 64 << 10
_COUNT_BYTES: Final = 4
_INT64: Final = 1 << 63


class ReadRecord(NamedTuple):
    """A record as aiokafka's parsers give it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def read_patiently(batch: bytes | memoryview) -> Iterator[ReadRecord | None]:
    """The records of a batch; None whenever a STEP of work was done.

    What is not UTF-8 in a header's name becomes U+FFFD, as Java's clients read it. A record that is too large, or has
    too many headers, comes with a CutValue. If the batch unpacks to too much, or is damaged, then so do all the records
    that it announces and that were not read: there is a record for each of its offsets.
    """
    return _Reader(batch).records()


class _Reader:
    def __init__(self, batch: bytes | memoryview) -> None:
        self._first, _, _, _, _, attributes, last, first_time, self._greatest_time, _, _, _, self._count = (
            HEADER.unpack_from(batch)
        )
        self._end = self._first + last + 1
        self._header = bytearray(batch[: HEADER.size])
        self._header[ATTRIBUTES_AT] &= ~CODEC_MASK
        self._group, self._grouped = bytearray(), 0
        self._first_time = None if attributes & _LOG_APPEND_TIME else first_time
        parts = unpacked(attributes & CODEC_MASK, batch[HEADER.size :], _PART_BYTES)
        self._stream = ByteStream(parts, MAX_BATCH_BYTES)

    def records(self) -> Iterator[ReadRecord | None]:
        offset, flaw = self._first, ""
        try:
            for record in self._read():
                if record is not None:
                    if not offset <= record.offset < self._end:
                        raise BrokenStreamError(f"has offset {record.offset} out of place")  # noqa: TRY301 - as the stream's own
                    offset = record.offset + 1
                yield record
        except UnpackingError as error:
            flaw = f"cannot be unpacked ({error})"
        except BrokenStreamError as error:
            flaw = str(error)
        if flaw:
            flaw = f"The batch that this record came in {flaw}; this record was not read. Send it in a smaller batch."
            for unread in range(offset, self._end):
                yield self._made(unread, 0, None, CutValue(b"", 0, None, flaw), [])
                yield from self._stream.spend(_RECORD_COST)

    def _read(self) -> Iterator[ReadRecord | None]:
        """Small records are parsed by aiokafka, a group at once, which is ten times as fast."""
        stream = self._stream
        try:
            for _ in range(self._count):
                length = stream.varint()
                if length <= _SMALL_BYTES:
                    body = stream.take(length)
                    encode_varint(length, self._group.append)
                    self._group += body
                    self._grouped += 1
                if length > _SMALL_BYTES or len(self._group) >= _SMALL_BYTES:
                    yield from self._parsed_group()
                if length > _SMALL_BYTES:
                    record = yield from self._record(stream, length)
                    yield record
                yield from stream.spend(_RECORD_COST)
        except (BrokenStreamError, UnpackingError):
            yield from self._parsed_group()
            raise
        yield from self._parsed_group()

    def _parsed_group(self) -> Iterator[ReadRecord | None]:
        group, count = bytes(self._group), self._grouped
        self._group, self._grouped = bytearray(), 0
        try:
            parsed = [
                ReadRecord(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, r.headers)
                for r in DefaultRecordBatch(self._header[:-_COUNT_BYTES] + count.to_bytes(_COUNT_BYTES) + group)
            ]
        except Exception:  # noqa: BLE001 - whatever it is: one of the records must be read leniently, or is damaged
            stream = ByteStream(iter([group]), len(group))
            for _ in range(count):
                record = yield from self._record(stream, stream.varint())
                yield record
        else:
            yield from parsed

    def _record(self, stream: ByteStream, length: int) -> Generator[None, None, ReadRecord]:
        start = stream.place
        end, flaw = start + length, ""
        if length > MAX_RECORD_BYTES:
            flaw = f"The record has {length} bytes; at most {MAX_RECORD_BYTES} are read."
        most = HEAD_BYTES if flaw else MAX_RECORD_BYTES
        stream.varint()  # attributes, of which none is in use
        time, offset = stream.varint(), self._first + stream.varint()
        key = yield from stream.field(end, most)
        value = yield from stream.field(end, MAX_COMMAND_BYTES if flaw else most, digest=bool(flaw))
        count = stream.varint()
        if count < 0:
            raise BrokenStreamError(f"has a record with {count} headers")
        if count > MAX_HEADERS:
            flaw = flaw or f"The record has {count} headers; at most {MAX_HEADERS} are read."
            most = HEAD_BYTES
        headers: list[tuple[str, bytes | None]] = []
        asked: dict[str, bytes | None] = {}  # who wants a reply gets it, wherever that stands
        for number in range(min(count, MAX_HEADERS)):
            name = yield from stream.field(end, most)
            content = yield from stream.field(end, most)
            yield from stream.spend(HEADER_COST)
            header = (name.kept or b"").decode(errors="replace"), content.kept
            if not flaw or number < _KEPT_HEADERS:
                headers.append(header)
            elif header[0] in _REPLY_HEADERS:
                asked[header[0]] = header[1]
        headers += asked.items()
        if stream.place != end and not (flaw and stream.place < end):
            raise BrokenStreamError(f"has a record of {length} bytes that fills {stream.place - start}")
        yield from stream.skip(end - stream.place)
        kept = value.kept
        if flaw:
            digest = value.sha256 or sha256(kept or b"").hexdigest()
            kept = CutValue(kept or b"", value.size, digest, flaw)
        return self._made(offset, time, key.kept, kept, headers)

    def _made(
        self, offset: int, delta: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
    ) -> ReadRecord:
        if self._first_time is None:
            return ReadRecord(offset, self._greatest_time, 1, key, value, headers)
        time = (self._first_time + delta + _INT64) % (2 * _INT64) - _INT64  # wraps, as in Java
        return ReadRecord(offset, time, 0, key, value, headers)
