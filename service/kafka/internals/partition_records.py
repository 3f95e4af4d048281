"""The records of a fetched partition: read at once, by aiokafka's parser, where that is safe; patiently elsewhere."""

import math
from collections.abc import Iterator
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from crc32c import crc32c

from service.kafka.byte_stream import STEP
from service.kafka.internals.patient_reader import (
    ATTRIBUTES_AT,
    CODEC_MASK,
    HEADER,
    HEADER_COST,
    MAX_HEADERS,
    ReadRecord,
    read_patiently,
)
from service.kafka.records import Record
from service.kafka.unpacking import unpack

MAX_AT_ONCE_BYTES: Final = 1 << 20
"""A batch that unpacks to more is read patiently. The parser makes 64 bytes of a header that has two."""

_FEW_HEADERS: Final = 50

_MAGIC_AT: Final = 16
_CHECKED_FROM: Final = 21
_V2: Final = 2

log = structlog.get_logger(__name__)


class Turn:
    """What one getmany() may still unpack, and the one partition whose batch is being read patiently."""

    def __init__(self, left: float) -> None:
        self.left = left
        self.stopped: TopicPartition | None = None
        self.patient: BoundedRecords | None = None
        self.queued = False  # another partition wants to be the patient one


class BoundedRecords(PartitionRecords):
    """The records of a fetched partition, and None where it is others' turn."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - aiokafka's own signature
        super().__init__(*arguments)
        self.turn = Turn(math.inf)  # a fetcher that was there before bound_fetching() knows of no turns

    def close(self) -> None:
        """Let go of what is half read; aiokafka leaves a cycle behind, which is not collected for long."""
        if self._records_iterator is not None:
            self._records_iterator.close()

    def _unpack_records(self) -> Iterator[Record | None]:
        batches = self._records
        while batches.has_next():
            packed, batch = batches._next_slice, batches.next_batch()  # noqa: SLF001 - there is no other way to the bytes
            if self._check_crcs and not _is_whole(packed, batch):
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not self._is_left_out(batch):
                yield from self._read(packed, batch)
            self.next_fetch_offset = batch.next_offset

    def _is_left_out(self, batch: Any) -> bool:  # noqa: ANN401 - aiokafka's
        """Whether it was aborted, or is a transaction's end marker: as aiokafka's own method does it."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _read(self, packed: memoryview, batch: Any) -> Iterator[Record | None]:  # noqa: ANN401 - aiokafka's
        size, is_read = MAX_AT_ONCE_BYTES, False
        topic, partition = self._tp
        try:
            plain, size = _at_once(packed, batch)
            share = size // max(HEADER.unpack_from(packed)[-1], 1)  # as good as each one's own size, and quicker told
            for record in plain:
                if record.offset >= self.next_fetch_offset:
                    headers = len(record.headers)
                    if headers > MAX_HEADERS:
                        raise _PatienceNeeded  # noqa: TRY301 - not an error at all
                    self.next_fetch_offset = record.offset + 1
                    yield Record(
                        topic, partition, record.offset, record.timestamp, record.key, record.value,
                        tuple(record.headers), share + HEADER_COST * headers,
                    )  # fmt: skip
                    if headers > _FEW_HEADERS:
                        yield from self._spend(headers * HEADER_COST)
            is_read = True
        except _PatienceNeeded:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is: the patient reader can read it, or refuses it
            log.info("batch_read_patiently", topic=self._tp.topic, partition=self._tp.partition, reason=repr(error))
        plain = record = None
        yield from self._spend(size)
        if not is_read:
            yield from self._read_patiently(packed)

    def _read_patiently(self, packed: memoryview) -> Iterator[Record | None]:
        while self.turn.patient is not None:
            self.turn.queued = True
            yield None
        self.turn.patient = self
        topic, partition = self._tp
        try:
            for record in read_patiently(packed):
                if record is None:
                    yield from self._spend(STEP)
                elif record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield Record(
                        topic, partition, record.offset, record.timestamp, record.key, record.value,
                        tuple(record.headers), _size(record),  # type: ignore[arg-type]  # see there
                    )  # fmt: skip
        finally:
            self.turn.patient = None

    def _spend(self, work: int) -> Iterator[None]:
        self.turn.left -= work
        if self.turn.left <= 0:
            self.turn.stopped = self._tp
            yield None


class _PatienceNeeded(Exception):  # noqa: N818 - not an error at all
    """The batch is too large to be read at once, or has a record with too many headers."""


def _is_whole(packed: memoryview, batch: Any) -> bool:  # noqa: ANN401 - aiokafka's
    """Whether its checksum is right: as aiokafka's own method says, which works out Kafka's CRC-32C in software."""
    if packed[_MAGIC_AT] != _V2:
        return bool(batch.validate_crc())
    return bool(crc32c(packed[_CHECKED_FROM:]) == batch.crc)


def _size(record: ReadRecord) -> int:
    size = len(record.value or b"") + len(record.key or b"") + HEADER_COST * len(record.headers)
    return size + sum(len(name) + len(value or b"") for name, value in record.headers)


def _at_once(packed: memoryview, batch: Any) -> tuple[Any, int]:  # noqa: ANN401 - aiokafka's
    """The batch for aiokafka's parser to read, unpacked, and its size.

    Raises:
        UnpackingError: it cannot be unpacked.
        _PatienceNeeded: it is too large.
    """
    codec = packed[ATTRIBUTES_AT] & CODEC_MASK
    if packed[_MAGIC_AT] < _V2 or not codec:  # brokers since 0.11 write clients' older ones anew
        return batch, len(packed)
    records = unpack(codec, packed[HEADER.size :], MAX_AT_ONCE_BYTES)
    if records is None:
        raise _PatienceNeeded
    header = bytearray(packed[: HEADER.size])
    header[ATTRIBUTES_AT] &= ~CODEC_MASK
    return DefaultRecordBatch(b"".join((header, records))), len(records)
