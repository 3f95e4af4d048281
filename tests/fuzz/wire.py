"""Writes record batches byte by byte and sends them in Produce requests: what no client library would write."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from struct import Struct
from typing import Any, Final

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.util import calc_crc32c

Header = tuple[bytes, bytes | None]

_CODECS: Final[dict[str, tuple[int, Callable[[bytes], Any]]]] = {
    "none": (0, bytes), "gzip": (1, gzip_encode), "snappy": (2, snappy_encode), "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
}  # fmt: skip
CODECS: Final = tuple(_CODECS)
REFUSED: Final = -1
"""The offset of a record that the broker did not take."""

_PRODUCE_VERSION: Final = 7  # the first that takes zstd
_FROM_ATTRIBUTES: Final = Struct(">hiqqqhii")  # Kafka protocol guide, Record Batch: attributes to records count
_TO_CRC: Final = Struct(">qiibI")
_64_BITS: Final = 2**64 - 1
_MAX_INT64: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as it stands on the wire: header names are bytes, the timestamp any 64-bit integer."""

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    timestamp: int

    @property
    def size(self) -> int:
        """Its bytes, nearly."""
        names = sum(len(name) + len(value or b"") + 6 for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + names + 20


def batch(records: Sequence[Raw], codec: str) -> bytes:
    """One record batch (magic 2) of all records, compressed together."""
    first = records[0].timestamp
    number, compress = _CODECS[codec]
    body = compress(b"".join(_record(record, place, first) for place, record in enumerate(records)))
    newest = max(record.timestamp for record in records)
    rest = _FROM_ATTRIBUTES.pack(number, len(records) - 1, first, newest, -1, -1, -1, len(records)) + bytes(body)
    length = len(rest) + _TO_CRC.size - 12  # what stands before the length, and the length itself, do not count
    return _TO_CRC.pack(0, length, -1, 2, calc_crc32c(rest)) + rest


class Connection:
    """A plain connection to the broker at `host:port`."""

    def __init__(self, server: str, seconds: float) -> None:
        host, _, port = server.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=seconds)
        self._numbers = count(1)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def produce(self, topic: str, partition: int, records: bytes) -> int:
        """Send a batch; the offset of its first record, or `REFUSED`."""
        name = topic.encode()
        request = b"".join((
            Struct(">hhih").pack(0, _PRODUCE_VERSION, next(self._numbers), 4), b"fuzz",
            Struct(">hhiih").pack(-1, -1, 20_000, 1, len(name)), name,
            Struct(">iii").pack(1, partition, len(records)), records,
        ))  # fmt: skip
        self._socket.sendall(Struct(">i").pack(len(request)) + request)
        (size,) = Struct(">i").unpack(self._exactly(4))
        answer = self._exactly(size)
        place = 4 + 4 + 2 + len(name) + 4  # correlation id, one topic, its name, one partition
        _, error, offset, _ = Struct(">ihqq").unpack_from(answer, place)
        return REFUSED if error else offset

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = self._socket.recv(size - len(found))
            if not part:
                raise ConnectionError("the broker closed the connection")
            found += part
        return bytes(found)


def _record(record: Raw, place: int, first: int) -> bytes:
    body = b"".join((
        b"\0", _varint(_wrapped(record.timestamp - first)), _varint(place), _bytes(record.key), _bytes(record.value),
        _varint(len(record.headers)), *(_bytes(name) + _bytes(value) for name, value in record.headers),
    ))  # fmt: skip
    return _varint(len(body)) + body


def _bytes(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _wrapped(number: int) -> int:
    """As 64-bit arithmetic overflows, for timestamps at its ends."""
    number &= _64_BITS
    return number - 2**64 if number > _MAX_INT64 else number


def _varint(number: int) -> bytes:
    rest = (number << 1 ^ number >> 63) & _64_BITS  # zigzag
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)
