"""Record batches by hand, so that they may hold what no honest client can write."""

from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c

from service.kafka.internals.patient_reader import HEADER

HeaderPairs = Sequence[tuple[str | bytes, bytes | None]]


def varint(number: int) -> bytes:
    """A zigzag varint."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def field(content: bytes | None) -> bytes:
    """Bytes with their length before them."""
    return varint(-1) if content is None else varint(len(content)) + content


def a_record(
    delta: int, time: int = 0, key: bytes | None = b"k", value: bytes | None = b"v", headers: HeaderPairs = ()
) -> bytes:
    """One record, `delta` behind the first one of its batch."""
    body = bytearray(b"\x00") + varint(time) + varint(delta) + field(key) + field(value) + varint(len(headers))
    for name, content in headers:
        body += field(name.encode() if isinstance(name, str) else name) + field(content)
    return varint(len(body)) + body


def a_batch(records: bytes, count: int, *, codec: int = 0, log_append_time: bool = False, first: int = 100) -> bytes:
    """The header and what follows it."""
    attributes = codec | (0x08 if log_append_time else 0)
    rest = HEADER.pack(0, 0, 0, 0, 0, attributes, count - 1, 1000, 5000, -1, -1, -1, count)[21:] + records
    return HEADER.pack(first, 9 + len(rest), 0, 2, calc_crc32c(rest), 0, 0, 0, 0, 0, 0, 0, 0)[:21] + rest
