"""What the bounded decompressors give, and what they refuse, whatever the bytes."""

import gzip
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest
from aiokafka import codec
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from cramjam import snappy
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.unpacking import UnpackingError, unpack, unpacked

MOST: Final = 1 << 20
ENCODERS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode
}  # fmt: skip
CODECS = pytest.mark.parametrize("number", ENCODERS)


def whole(number: int, packed: bytes, most: int = 1000) -> bytes:
    parts = [*unpacked(number, packed, most)]
    assert max(map(len, parts), default=0) <= most
    return b"".join(parts)


@CODECS
@given(data=st.binary(max_size=3000), times=st.integers(0, 300))
def test_what_was_packed_comes_out_in_parts_and_at_once(number: int, data: bytes, times: int) -> None:
    packed = ENCODERS[number](data * times)
    assert whole(number, packed) == unpack(number, packed, MOST) == data * times


@CODECS
def test_what_is_far_larger_than_its_input_pieces_comes_out_whole(number: int) -> None:
    data = bytes(60 << 20)
    assert sum(map(len, unpacked(number, ENCODERS[number](data), 1 << 16))) == len(data)


@CODECS
def test_frames_behind_one_another_are_one_stream(number: int) -> None:
    first, second = ENCODERS[number](b"a" * 5000), ENCODERS[number](b"b" * 70_000)
    assert whole(number, first + second) == b"a" * 5000 + b"b" * 70_000


@CODECS
def test_more_than_allowed_is_not_unpacked(number: int) -> None:
    packed = ENCODERS[number](bytes(10_000))
    assert unpack(number, packed, 10_000) == bytes(10_000)
    assert unpack(number, packed, 9_999) is None


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_hundred_thousand_empty_frames_are_given_up(number: int) -> None:
    assert unpack(number, ENCODERS[number](b"") * 100_000, MOST) is None


@given(number=st.integers(0, 7), data=st.binary(max_size=300))
def test_bytes_of_any_kind_are_read_or_refused(number: int, data: bytes) -> None:
    with suppress(UnpackingError):
        assert len(whole(number, data)) <= 64 << 20


@CODECS
@given(data=st.binary(min_size=50, max_size=500), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_damage_is_read_over_or_refused(number: int, data: bytes, at: int, byte: int) -> None:
    packed = bytearray(ENCODERS[number](data))
    packed[at % len(packed)] = byte
    with suppress(UnpackingError):
        assert len(whole(number, bytes(packed))) < 1 << 20


def test_garbage_behind_gzip_is_left_alone_as_java_does() -> None:
    assert whole(1, gzip.compress(b"value") + b"garbage") == b"value"


def test_snappy_comes_without_frames_too() -> None:
    assert whole(2, bytes(snappy.compress_raw(b"v" * 5000))) == b"v" * 5000


@pytest.mark.parametrize("size", [-5, 2**31 - 1])
def test_a_snappy_block_whose_length_lies_is_refused(size: int) -> None:
    packed = codec.snappy_encode(b"value")[:16] + struct.pack(">i", size) + b"x"
    with pytest.raises(UnpackingError, match=f"a block of {size} bytes where 1 are left"):
        whole(2, packed)


def test_a_snappy_block_that_claims_to_hold_gigabytes_is_refused() -> None:
    with pytest.raises(UnpackingError, match="claims to hold 4294967295"):
        whole(2, b"\xff\xff\xff\xff\x0f" + b"x" * 100)


def test_what_is_missing_at_the_end_is_not_made_up() -> None:
    packed = zlib.compress(b"value" * 1000, wbits=31)
    assert (b"value" * 1000).startswith(whole(1, packed[:-12]))
