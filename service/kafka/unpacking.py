"""Unpacks what clients have compressed, in parts: a MiB from the network may hold gigabytes."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from cramjam import snappy
from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

PART_COST: Final = 4096
"""What a part costs beside its bytes: a MiB may also hold a hundred thousand empty frames."""

_INPUT_BYTES: Final = 128 << 10  # some copy what they have not used yet, over and over
_GZIP: Final = b"\x1f\x8b"
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_MAX_SNAPPY_RATIO: Final = 22
"""Three bytes copy at most 64: a block that claims to hold more lies."""


class UnpackingError(Exception):
    """What was compressed is damaged, or was compressed by an unknown codec. The action: refuse it."""


def unpacked(codec: int, packed: bytes | memoryview, most: int) -> Iterator[bytes]:
    """What the bytes hold, in parts of at most so many bytes; a part may be empty. `codec` as in KIP-98 and KIP-110.

    Snappy alone has no stream: what is unpacked at once there has up to 22 times the size of its block.

    Raises:
        UnpackingError: from here on, they cannot be read. That something is missing at their end goes unnoticed.
    """
    try:
        yield from _CODECS[codec](bytes(packed), most)
    except Exception as error:  # each library has its own errors
        raise UnpackingError(f"codec {codec}: {error!r}") from error


def unpack(codec: int, packed: bytes | memoryview, most: int) -> bytes | None:
    """What the bytes hold, or None if it is more than so many bytes, or takes unusually much work.

    Raises:
        UnpackingError: they cannot be read.
    """
    parts: list[bytes] = []
    left = most + PART_COST
    for part in unpacked(codec, packed, most):
        left -= len(part) + PART_COST
        if left < 0:
            return None
        parts.append(part)
    return b"".join(parts)


class _GzipFrame:
    """A zlib decompressor in the shape of the others."""

    def __init__(self) -> None:
        self._frame, self._tail, self.needs_input = zlib.decompressobj(wbits=31), b"", True

    def decompress(self, piece: bytes, most: int) -> bytes:
        part = self._frame.decompress(self._tail + piece, most)
        self._tail = self._frame.unconsumed_tail
        self.needs_input = not self._tail and len(part) < most
        return part

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data


def _frames(new_frame: Callable[[], Any], packed: bytes, most: int, magic: bytes = b"") -> Iterator[bytes]:
    """Frame after frame; Java ends a gzip stream quietly where no further frame begins."""
    at = 0
    while at < len(packed) and packed.startswith(magic, at):
        frame = new_frame()
        while not frame.eof:
            piece = packed[at : at + _INPUT_BYTES] if frame.needs_input else b""
            at += len(piece)
            part = frame.decompress(piece, most)
            if not part and frame.needs_input and at == len(packed) and not piece:
                return
            yield part
        at -= len(frame.unused_data or b"")


def _snappy(packed: bytes, most: int) -> Iterator[bytes]:
    """Blocks as xerial's library writes them, its header repeated where streams were joined; or one block alone."""
    if not packed.startswith(_XERIAL):
        yield from _snappy_block(packed, most)
        return
    at = 0
    while at < len(packed):
        if packed.startswith(_XERIAL, at):
            at += _XERIAL_HEADER_BYTES
            continue
        size = int.from_bytes(packed[at : at + _LENGTH_BYTES], signed=True)
        at += _LENGTH_BYTES
        if not 0 <= size <= len(packed) - at:
            raise ValueError(f"a block of {size} bytes where {len(packed) - at} are left")
        yield from _snappy_block(packed[at : at + size], most)
        at += size


def _snappy_block(block: bytes, most: int) -> Iterator[bytes]:
    size = snappy.decompress_raw_len(block)
    if size > _MAX_SNAPPY_RATIO * len(block):
        raise ValueError(f"a block of {len(block)} bytes claims to hold {size}")
    whole = bytes(snappy.decompress_raw(block))
    for at in range(0, max(size, 1), most):
        yield whole[at : at + most]


_CODECS: Final[dict[int, Callable[[bytes, int], Iterator[bytes]]]] = {
    0: lambda packed, most: (packed[at : at + most] for at in range(0, len(packed), most)),
    1: lambda packed, most: _frames(_GzipFrame, packed, most, _GZIP),
    2: _snappy,
    3: lambda packed, most: _frames(LZ4FrameDecompressor, packed, most),
    4: lambda packed, most: _frames(ZstdDecompressor, packed, most),
}
