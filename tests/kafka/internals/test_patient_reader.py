"""The patient reader agrees with aiokafka's parser on what is ordinary, and gives an answer for all that is not."""

import struct
import tracemalloc
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.default_records import _DefaultRecordBatchPy
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.topics import MAX_COMMAND_BYTES, MAX_RECORD_BYTES
from service.kafka.internals import patient_reader
from service.kafka.internals.patient_reader import HEADER, MAX_HEADERS, ReadRecord, read_patiently
from service.kafka.records import CutValue
from tests.kafka.record_batches import a_batch, a_record, varint

ENCODERS: Final[tuple[Callable[[bytes], bytes], ...]] = (bytes, gzip_encode, snappy_encode, lz4_encode, zstd_encode)
CODECS = pytest.mark.parametrize("codec", range(5))
optional_bytes = st.none() | st.binary(max_size=200)
records = st.lists(
    st.tuples(
        st.integers(-(2**40), 2**40),
        optional_bytes,
        optional_bytes,
        st.lists(st.tuples(st.text(max_size=20), optional_bytes), max_size=20),
    ),
    min_size=1,
    max_size=20,
)


def read(batch: bytes) -> list[ReadRecord]:
    return [record for record in read_patiently(batch) if record is not None]


def packed(codec: int, rows: Sequence[bytes], count: int | None = None) -> bytes:
    return a_batch(ENCODERS[codec](b"".join(rows)), len(rows) if count is None else count, codec=codec)


@CODECS
@given(rows=records, append_time=st.booleans())
def test_ordinary_batches_read_as_aiokafka_reads_them(codec: int, rows: list[Any], *, append_time: bool) -> None:
    body = b"".join(a_record(number, *row) for number, row in enumerate(rows))
    batch = a_batch(ENCODERS[codec](body), len(rows), codec=codec, log_append_time=append_time)
    theirs = [
        ReadRecord(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers))
        for r in _DefaultRecordBatchPy(batch)
    ]
    assert read(batch) == theirs
    assert not any(isinstance(record.value, CutValue) for record in read(batch))


@CODECS
def test_of_a_record_that_is_too_large_the_head_is_kept(codec: int) -> None:
    value, key = b"v" * (MAX_RECORD_BYTES + 1), b"k" * 5000
    rows = [a_record(0), a_record(1, 0, key, value, [("n" * 5000, b"h" * 5000)]), a_record(2)]
    before, cut, after = read(packed(codec, rows))
    assert (before.value, after.value) == (b"v", b"v")
    assert isinstance(cut.value, CutValue)
    assert (cut.value.size, cut.value.sha256) == (len(value), sha256(value).hexdigest())
    assert (cut.key, cut.value, cut.headers) == (b"k" * 4096, b"v" * 4096, [("n" * 4096, b"h" * 4096)])


def test_a_small_value_is_kept_whole_whatever_is_beside_it() -> None:
    value = b"v" * MAX_COMMAND_BYTES
    ((cut),) = read(packed(4, [a_record(0, 0, b"k" * MAX_RECORD_BYTES, value)]))
    assert isinstance(cut.value, CutValue)
    assert (cut.value, cut.value.size, cut.value.sha256) == (value, len(value), sha256(value).hexdigest())


@pytest.mark.parametrize("value", [None, b"v"])
def test_of_too_many_headers_the_first_are_kept(value: bytes | None) -> None:
    rows = [a_record(0, 0, b"k", value, [("h", b"x")] * (MAX_HEADERS + 1)), a_record(1)]
    cut, after = read(packed(0, rows))
    assert isinstance(cut.value, CutValue)
    assert cut.value.flaw == "The record has 262145 headers; at most 262144 are read."
    assert (cut.value, cut.value.size, cut.headers) == (value or b"", len(value or b""), [("h", b"x")] * 100)
    assert after.value == b"v"


def test_who_asks_for_a_reply_behind_very_many_headers_is_still_known() -> None:
    many = [("tracestate", b"t" * 1024)] * 5_000
    asking = [("reply_to", b"task-execution.replies"), ("correlation_id", b"7")]
    (cut,) = read(packed(4, [a_record(0, 0, b"k", b"v", [*many, *asking])]))
    assert isinstance(cut.value, CutValue)
    assert cut.headers == [*many[:100], *asking]


def test_header_names_that_are_not_utf8_are_read_as_java_reads_them() -> None:
    name = varint(2) + b"\xff\xfe" + varint(1) + b"x"
    row = b"\x00" + varint(0) + varint(0) + varint(-1) + varint(1) + b"v" + varint(1) + name
    (record,) = read(packed(0, [varint(len(row)) + row]))
    assert record.headers == [("��", b"x")]


def test_timestamps_wrap_as_in_java() -> None:
    rows = [a_record(0, 2**63 - 1, headers=[(b"\xff", b"x")]), a_record(1, 2**63 - 1)]
    assert [record.timestamp for record in read(packed(0, rows))] == [1000 + 2**63 - 1 - 2**64] * 2


START: Final = b"\x00" + varint(0) + varint(1)
LIES: Final = {
    "a negative record": varint(-1),
    "a record of gigabytes": varint(2**40) + START + varint(2**39),
    "a key beyond the record": varint(10) + START + varint(100) + b"k" * 100,
    "a value of gigabytes": varint(50) + START + varint(-1) + varint(2**40) + b"v" * 44,
    "a number without end": b"\xff" * 100,
    "an offset out of place": a_record(7),
    "headers without end": varint(20) + START + varint(-1) * 2 + varint(2**40) + b"\x00" * 14,
    "negative headers": varint(6) + START + varint(-1) * 2 + varint(-2),
    "a record that does not fill its length": varint(20) + a_record(1)[1:] + b"\x00" * 30,
    "nothing": b"",
}


@CODECS
@pytest.mark.parametrize("lie", LIES)
def test_lengths_that_lie_leave_an_answer_for_each_offset(codec: int, lie: str) -> None:
    found = read(packed(codec, [a_record(0), LIES[lie]], 4))
    assert [record.offset for record in found] == [100, 101, 102, 103]
    assert found[0].value == b"v"
    for record in found[1:]:
        assert isinstance(record.value, CutValue)
        if lie != "headers without end":
            assert "was not read" in record.value.flaw


def test_beyond_the_limit_nothing_is_read_and_each_offset_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_reader, "MAX_BATCH_BYTES", 10 << 20)
    rows = [a_record(number, 0, b"k", bytes(1 << 20)) for number in range(20)]
    found = read(packed(4, rows))
    assert [record.offset for record in found] == [*range(100, 120)]
    assert [isinstance(record.value, CutValue) for record in found] == [False] * 9 + [True] * 11
    last = found[-1].value
    assert isinstance(last, CutValue)
    assert "unpacks to more than 10485760 bytes" in last.flaw


def test_others_have_their_turn_while_a_large_record_is_read() -> None:
    found = [*read_patiently(packed(4, [a_record(0, 0, b"k", bytes(100 << 20)), a_record(1)]))]
    assert found.count(None) > 300
    assert len(found) - found.count(None) == 2


def test_of_a_record_of_any_size_little_is_held() -> None:
    batch = packed(4, [a_record(0, 0, b"k", bytes(200 << 20))])
    tracemalloc.start()
    try:
        ((record),) = read(batch)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(record.value, CutValue)
    assert record.value.size == 200 << 20


@given(batch=st.binary(max_size=200), codec=st.integers(0, 7), count=st.integers(-1, 20), last=st.integers(-5, 20))
def test_whatever_stands_in_a_batch_each_offset_has_one_record(batch: bytes, codec: int, count: int, last: int) -> None:
    header = HEADER.pack(100, 49 + len(batch), 0, 2, 0, codec, last, 0, 0, -1, -1, -1, count)
    offsets = [record.offset for record in read(header + batch)]
    assert offsets == sorted(set(offsets))
    assert set(offsets) <= {*range(100, 101 + last)}


def test_the_header_is_where_aiokafka_has_it() -> None:
    assert HEADER.format == _DefaultRecordBatchPy.HEADER_STRUCT.format
    assert struct.calcsize(">qiibI") + 1 == patient_reader.ATTRIBUTES_AT
