"""The events of executions that somebody follows, from the events topic."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from service.client.errors import ServiceUnavailableError
from service.client.transport import Events
from service.contracts.codec import decode
from service.contracts.events import read_event
from service.contracts.problems import Code, problem
from service.contracts.replies import Position
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import EVENTS_TOPIC, MAX_RECORD_BYTES
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.queries.answers import RecordedEvent

_POLL_MS: Final = 60_000
_START_SECONDS: Final = 30.0
_PRIVATE: Final = ("commandId", "commandHash")
"""What only the write side needs; histories have it not, either."""

Queue = asyncio.Queue[RecordedEvent | Exception]


class Follower:
    """One consumer of the whole events topic for all that is followed. The first who follows starts it."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._followed: dict[bytes, list[Queue]] = defaultdict(list)
        self._opening = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._reader: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self, execution_id: str) -> AsyncIterator[Events]:
        """The events of this execution that are published from now on; with `go_back`, earlier ones, too.

        Raises:
            ServiceUnavailableError: Kafka does not answer.
        """
        await self._open()
        key, queue = execution_id.encode(), Queue()
        self._followed[key].append(queue)
        try:
            yield _taken_from(queue)
        finally:
            self._followed[key].remove(queue)
            if not self._followed[key]:
                del self._followed[key]

    async def go_back(self, execution_id: str, to: Timestamp) -> None:
        """Read on from this time in the execution's partition; all who follow one there see what they saw again.

        Raises:
            ServiceUnavailableError: Kafka does not answer.
        """
        consumer = await self._open()
        number = partition_of(execution_id.encode(), len(consumer.assignment()))
        place = self._kafka.partition(EVENTS_TOPIC, number)
        try:
            found = (await consumer.offsets_for_times({place: epoch_ms(to)}))[place]
            if found is not None and found.offset < await consumer.position(place):
                consumer.seek(place, found.offset)
        except KafkaError as error:
            raise _unavailable(self._kafka, error) from error

    async def close(self) -> None:
        """Read no more."""
        if self._reader:
            self._reader.cancel()
            with suppress(asyncio.CancelledError, KafkaError):
                await self._reader

    async def _open(self) -> AIOKafkaConsumer:
        async with self._opening:
            if self._consumer is None or self._reader is None or self._reader.done():
                self._consumer = await self._started()
                self._reader = asyncio.create_task(self._read(self._consumer), name="followed events")
            return self._consumer

    async def _started(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            self._kafka.topic(EVENTS_TOPIC),
            **self._kafka.options(),
            group_id=None,
            auto_offset_reset="latest",
            isolation_level="read_committed",
            fetch_max_bytes=MAX_RECORD_BYTES,
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await consumer.start()
                for place in consumer.assignment():
                    await consumer.position(place)
        except (KafkaError, TimeoutError) as error:
            await consumer.stop()
            raise _unavailable(self._kafka, error) from error
        return consumer

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS)
                for records in fetched.values():
                    for record in records:
                        for queue in self._followed.get(record.key or b"", ()):
                            queue.put_nowait(_event(record))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who follow are told; who follows next opens anew
            for queue in (queue for queues in self._followed.values() for queue in queues):
                queue.put_nowait(_unavailable(self._kafka, error))
        finally:
            with suppress(KafkaError):
                await consumer.stop()


async def _taken_from(queue: Queue) -> Events:
    while True:
        event = await queue.get()
        if isinstance(event, Exception):
            raise event
        yield event


def _event(record: Any) -> RecordedEvent | Exception:  # noqa: ANN401 - aiokafka is untyped
    try:
        type_ = dict(record.headers)["ce_type"].decode()
        event = read_event(type_, record.value)
        return RecordedEvent(
            type=type_,
            time=event.occurred_at,
            status=event.status,
            position=Position(partition=record.partition, offset=record.offset),
            data={name: value for name, value in decode(record.value).items() if name not in _PRIVATE},
        )
    except (KeyError, ValueError) as error:
        detail = f"An event could not be read, perhaps because this client is too old: {error!r}"
        return ServiceUnavailableError(problem(Code.INTERNAL_ERROR, detail))


def _unavailable(kafka: Kafka, error: Exception) -> ServiceUnavailableError:
    detail = f"The events at Kafka {kafka.servers} can't be read: {error!r}. Try again."
    return ServiceUnavailableError(problem(Code.UNAVAILABLE, detail))
