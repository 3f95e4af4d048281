"""A consumed record as all of our consumers see it: nothing is deserialised for us."""

from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct


class Record(Struct, frozen=True, gc=False):
    """A record and its place: aiokafka's ConsumerRecord without what nobody asks for, made in half the time.

    `timestamp` is in epoch milliseconds; `size` about what it takes in memory, in bytes, 0 where that is not known.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """In order; a value is None where the client gave none, whatever the annotation says: as aiokafka has it."""
    size: int = 0


async def get_many(consumer: AIOKafkaConsumer, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
    """What getmany() gives where fetching is bounded (`bound_fetching`), which aiokafka's annotations do not know."""
    fetched: Any = await consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
    return fetched  # type: ignore[no-any-return]


class CutValue(bytes):
    """All that was kept of the value of a record that is too large to be held, or cannot be read; `flaw` says which.

    It is the head of the value. `size` is what the whole value has, in bytes, and `sha256` its digest in hex; they are
    0 and None where the value was not read. Key and headers of the record are cut as well.
    """

    size: int
    sha256: str | None
    flaw: str

    def __new__(cls, head: bytes, size: int, sha256: str | None, flaw: str) -> Self:
        """The head with what is known of the whole."""
        value = super().__new__(cls, head)
        value.size, value.sha256, value.flaw = size, sha256, flaw
        return value
