"""A stream of bytes that is unpacked as it is read: lengths are believed only as far as bytes really come."""

from collections.abc import Generator, Iterator
from hashlib import sha256
from itertools import islice
from typing import Final, NamedTuple

from service.kafka.unpacking import PART_COST

STEP: Final = 256 << 10
"""After so many bytes of work, others may have their turn."""

HEAD_BYTES: Final = 4096
_VARINT_BYTES: Final = 10
_EMPTY_PARTS: Final = 1000
"""So many in a row are no stream: to make a decompressor for each would take long."""


class BrokenStreamError(Exception):
    """The bytes are not what they must be, or too many. The message ends a sentence that begins with what they are."""


class Field(NamedTuple):
    """Bytes with their length before them: what was kept, None if they are null; how many there are; their digest."""

    kept: bytes | None
    size: int
    sha256: str | None


class ByteStream:
    """Reads varints and fields from parts, of which it takes at most `most` bytes.

    Whatever may take long is a generator that gives None after each STEP of work. All of it raises BrokenStreamError.
    """

    def __init__(self, parts: Iterator[bytes], most: int) -> None:
        self._parts, self._most, self._left = parts, most, most
        self._part, self._at, self._before = b"", 0, 0
        self._pending = 0

    @property
    def place(self) -> int:
        """How many bytes were read."""
        return self._before + self._at

    def spend(self, work: int) -> Generator[None]:
        """Note work that was done; pauses when it has become a STEP."""
        self._pending += work
        while self._pending >= STEP:
            self._pending -= STEP
            yield

    def varint(self) -> int:
        """A zigzag varint of at most 64 bits, as Protocol Buffers have it."""
        value = 0
        for shift in range(0, 7 * _VARINT_BYTES, 7):
            if self._at == len(self._part):
                self._fill()
            byte = self._part[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follow
                value &= (1 << 64) - 1
                return (value >> 1) ^ -(value & 1)
        raise BrokenStreamError(f"has a number of more than {_VARINT_BYTES} bytes")

    def field(self, end: int, most: int, *, digest: bool = False) -> Generator[None, None, Field]:
        """A field that may reach to the place `end`. Of one with more than `most` bytes only the head is kept."""
        size = self.varint()
        if size < 0:
            return Field(None, 0, None)
        if size > end - self.place:
            raise BrokenStreamError(f"has a field of {size} bytes where {end - self.place} are left")
        if size <= len(self._part) - self._at and size <= most and not digest:  # nearly always
            self._at += size
            return Field(self._part[self._at - size : self._at], size, None)
        keep = size if size <= most else HEAD_BYTES
        kept, hashed = bytearray(), sha256()
        for part in self._pieces(size):
            yield from self.spend(0)
            if len(kept) < keep:
                kept += part[: keep - len(kept)]
            if digest:
                hashed.update(part)
        return Field(bytes(kept), size, hashed.hexdigest() if digest else None)

    def take(self, size: int) -> bytes:
        """So few bytes that all can be held, and no pause is needed."""
        if size < 0:
            raise BrokenStreamError(f"has a field of {size} bytes")
        if size <= len(self._part) - self._at:  # nearly always
            self._at += size
            return self._part[self._at - size : self._at]
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> Generator[None]:
        """Pass over so many bytes."""
        for _ in self._pieces(size):
            yield from self.spend(0)

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            if self._at == len(self._part):
                self._fill()
            piece = self._part[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def _fill(self) -> None:
        self._before += len(self._part)
        self._part, self._at = b"", 0
        for part in islice(self._parts, _EMPTY_PARTS):
            self._pending += len(part) + PART_COST
            self._left -= len(part)
            if self._left < 0:
                raise BrokenStreamError(f"unpacks to more than {self._most} bytes")
            if part:
                self._part = part
                return
        raise BrokenStreamError("ends early")
