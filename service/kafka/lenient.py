"""Reads what aiokafka's consumer cannot: records with a header name that is not UTF-8, which the broker lets through.

aiokafka raises an `UNREADABLE` out of getmany() for them, again and again, and with the exception it loses what it had
taken from other partitions in the same call: go back to where each partition was, and read from there.
"""

from typing import Any, Final, SupportsIndex

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from service.kafka.records import Record

UNREADABLE: Final = (UnicodeDecodeError, CorruptRecordException)
"""Which of them aiokafka raises depends on whether its compiled parser is there."""

_FETCH_BYTES: Final = 4 << 20


async def read_leniently(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> tuple[list[Record], int]:
    """The committed records from this offset on, as many as one fetch gives, and the offset after them.

    What is not UTF-8 in a header's name becomes U+FFFD, as Java's clients read it. Reads nothing while the partition
    has no leader or the broker refuses.

    Raises:
        KafkaError: the broker cannot be reached, or the records are broken in another way.
    """
    client: Any = consumer._client  # noqa: SLF001 - there is no other way to the bytes
    leader = client.cluster.leader_for_partition(tp)
    if leader is None or leader < 0:
        return [], offset
    place = [(tp.topic, [(tp.partition, offset, _FETCH_BYTES)])]
    response = await client.send(leader, FetchRequest(0, 1, _FETCH_BYTES, READ_COMMITTED, place))
    ((_, ((_, error, _, *details),)),) = response.topics
    if error:
        return [], offset
    aborted = details[2 if response.API_VERSION >= 11 else -2]  # noqa: PLR2004 - where the preferred replica came in
    batches = _LenientRecords(details[-1])
    found = PartitionRecords(tp, batches, aborted, offset, None, None, True, READ_COMMITTED)  # noqa: FBT003 - aiokafka's own signature
    return list(found), found.next_fetch_offset


class _LenientBytes(bytearray):
    def __getitem__(self, at: SupportsIndex | slice) -> Any:  # noqa: ANN401 - an int or bytes
        part = super().__getitem__(at)
        return _LenientBytes(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final, but this is the one part that must differ
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _LenientBytes):
            self._buffer = _LenientBytes(self._buffer)


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final, but this is the one part that must differ
    def next_batch(self) -> Any:  # type: ignore[override]  # noqa: ANN401 - as aiokafka's
        batch: Any = self._next_slice
        self._cache_next()
        return _LenientBatch(batch)
