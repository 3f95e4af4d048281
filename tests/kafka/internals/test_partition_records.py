"""The records of a fetched partition, and what they say of their size. No broker."""

from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.topics import COMMANDS_TOPIC
from service.kafka.internals.partition_records import MAX_AT_ONCE_BYTES, BoundedRecords
from service.kafka.internals.patient_reader import HEADER_COST
from service.kafka.records import Record

KEY, HEADERS = b"key", [("name", b"value"), ("none", None)]
PLAIN = len(KEY) + sum(len(name) + len(value or b"") for name, value in HEADERS) + HEADER_COST * len(HEADERS)
"""What a record takes beside its value."""
_GZIP = 1
_CHECKSUM_AT = 17


def packed(values: Sequence[bytes], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 16 << 20)
    for number, value in enumerate(values):
        builder.append(number, 7, KEY, value, HEADERS)
    return bytes(builder.build())


def read(batch: bytes) -> list[Record]:
    tp = TopicPartition(COMMANDS_TOPIC, 3)
    found = BoundedRecords(tp, _MemoryRecordsPy(batch), [], 0, None, None, True, READ_COMMITTED)  # noqa: FBT003 - aiokafka's
    return [record for record in found if record is not None]


def fetched(values: Sequence[bytes], codec: int = 0) -> list[Record]:
    return read(packed(values, codec))


def test_a_record_has_its_place_and_what_its_client_wrote() -> None:
    first, second = fetched([b"1", b"2"])
    assert first == Record(COMMANDS_TOPIC, 3, 0, 7, KEY, b"1", tuple(HEADERS), first.size)  # type: ignore[arg-type]  # see there
    assert (second.offset, second.value) == (1, b"2")


def test_the_sizes_of_a_batch_are_shares_of_what_its_records_take() -> None:
    values = [b"x" * 10, b"y" * 5_000, b"z" * 300]
    sizes = {record.size for record in fetched(values)}
    assert len(sizes) == 1
    takes = sum(map(len, values)) + PLAIN * len(values)
    assert takes <= sum(sizes) * len(values) <= takes + 150


def test_a_record_of_a_batch_that_is_read_patiently_has_its_own_size() -> None:
    values = [b"x" * 10, b"y" * MAX_AT_ONCE_BYTES]
    assert [record.size for record in fetched(values, _GZIP)] == [len(value) + PLAIN for value in values]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(min_value=0), st.integers(0, 255))
def test_a_batch_is_whole_where_aiokafka_says_so(values: Sequence[bytes], place: int, byte: int) -> None:
    spoilt = bytearray(packed(values))
    spoilt[_CHECKSUM_AT + place % (len(spoilt) - _CHECKSUM_AT)] = byte
    batch = _MemoryRecordsPy(bytes(spoilt)).next_batch()
    assert batch is not None
    if batch.validate_crc():
        assert [record.value for record in read(bytes(spoilt))] == list(values)
    else:
        with pytest.raises(CorruptRecordException):
            read(bytes(spoilt))
