"""The records of a fetched partition, and what they say of their size. No broker."""

from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy

from service.contracts.topics import COMMANDS_TOPIC
from service.kafka.internals.partition_records import MAX_AT_ONCE_BYTES, BoundedRecords
from service.kafka.internals.patient_reader import HEADER_COST
from service.kafka.records import Record

KEY, HEADERS = b"key", [("name", b"value"), ("none", None)]
PLAIN = len(KEY) + sum(len(name) + len(value or b"") for name, value in HEADERS) + HEADER_COST * len(HEADERS)
"""What a record takes beside its value."""
_GZIP = 1


def fetched(values: Sequence[bytes], codec: int = 0) -> list[Record]:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 16 << 20)
    for number, value in enumerate(values):
        builder.append(number, 7, KEY, value, HEADERS)
    records = _MemoryRecordsPy(bytes(builder.build()))
    tp = TopicPartition(COMMANDS_TOPIC, 3)
    found = BoundedRecords(tp, records, [], 0, None, None, True, READ_COMMITTED)  # noqa: FBT003 - aiokafka's
    return [record for record in found if record is not None]


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
