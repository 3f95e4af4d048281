"""Records on their way to Kafka, packed into its batches as they come."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from service.contracts.envelope import Headers

Place = tuple[str, int]
"""A topic and one of its partitions."""


class Outgoing(Struct, frozen=True, gc=False):
    """A record to be written; `timestamp` in epoch milliseconds."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


class BatchBuilder(Protocol):
    """What we need of aiokafka's, which `AIOKafkaProducer.create_batch` gives."""

    def append(self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers) -> object | None:
        """Add a record; None if the batch is full."""
        ...

    def record_count(self) -> int:
        """How many it has."""
        ...


class Batches:
    """As few batches as the records fit in, in order per partition; nothing is sent before `send`.

    `name` gives what Kafka calls a topic, where it has another name.
    """

    def __init__(self, new_batch: Callable[[], BatchBuilder], name: Callable[[str], str] = str) -> None:
        self.packed: dict[Place, list[BatchBuilder]] = {}
        self._new_batch, self._name = new_batch, name

    def put(self, topic: str, partition: int, record: Outgoing) -> None:
        """Add a record to its partition."""
        batches = self.packed.get((topic, partition))
        if batches is None:
            batches = self.packed[topic, partition] = [self._new_batch()]
        if _append(batches[-1], record) is None:  # it is full
            batches.append(self._new_batch())
            _append(batches[-1], record)

    async def send(self, producer: AIOKafkaProducer) -> dict[Place, list[int]]:
        """Send all, and return the offsets they got.

        Every future is awaited: a failed send does not by itself fail the commit. There is one for each batch, not for
        each record.
        """
        sent = [
            (place, batch.record_count(), await producer.send_batch(batch, self._name(place[0]), partition=place[1]))
            for place, batches in self.packed.items()
            for batch in batches
        ]
        done = await asyncio.gather(*(future for _, _, future in sent))
        offsets: dict[Place, list[int]] = {}
        for (place, count, _), metadata in zip(sent, done, strict=True):
            offsets.setdefault(place, []).extend(range(metadata.offset, metadata.offset + count))
        return offsets


def _append(batch: BatchBuilder, record: Outgoing) -> object | None:
    return batch.append(timestamp=record.timestamp, key=record.key, value=record.value, headers=record.headers)
