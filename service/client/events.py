"""Consumes the events of executions, each at least once."""

import asyncio
import time
from collections.abc import Collection
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Final, Literal, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from service.client.stopping import is_cancelled, stop
from service.contracts.events import EVENT_TYPES, AnyEvent, UnknownEvent
from service.contracts.received import ReceivedEvent, received_event, type_of
from service.contracts.topics import EVENTS_TOPIC, MAX_RECORD_BYTES
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import knock

_REVOKE_SECONDS: Final = 3.0
_LEAST_WAIT: Final = 0.01  # aiokafka does not wait at all if it is to wait for less than a millisecond
_IDLE_WAIT: Final = 1.0
_LOOK_AGAIN: Final = 0.1


class UnreadableEventError(ValueError):
    """This record is no event that this version can read. The action: stop, and upgrade the consumer.

    Who goes on to the next event instead has passed over it.
    """

    def __init__(self, place: str, error: ValueError) -> None:
        super().__init__(
            f"{place} cannot be read: {error}. If a newer version of the service wrote it, upgrade this consumer."
        )


class EventConsumer:
    """The events of committed transactions, in order within an execution, at least once.

        async with EventConsumer("127.0.0.1:9092", "failure-alerts", only=[TaskExecutionFailed]) as events:
            async for received in events:
                ...

    An event counts as handled when the next one is asked for, or by `commit`. What counts as handled is committed every
    `commit_every` seconds and on leaving; the rest comes again after a crash, an error, or when the group's members
    change: with the same `id`, by which `SeenEvents` knows it. Consumers of one `group` share the work.

    Args:
        kafka: where Kafka is; `host:port[,host:port…]` will do where it needs neither a prefix nor a password.
        group: the consumer group, whose place is kept in Kafka.
        only: the types that are wanted; others are passed over unread. `UnknownEvent` means all later types.
        start: where a new group begins: with the first event that is kept, or with what comes from now on.
        commit_every: seconds between commits.
        max_handling: seconds that one event may take; after that the group goes on without us, and the event comes
            again, to us or to another.
        start_timeout: seconds to wait for Kafka, and for the topic, at the start.

    Raises:
        ConnectionError: on entering: Kafka does not answer or refuses us, or the events topic is not there.
        ConnectionError: of an iteration: the consumer has fallen out of its group; open a new one.
        UnreadableEventError: of an iteration.
        KafkaError: of an iteration or of `commit`.
    """

    def __init__(  # noqa: PLR0913 - each has a default that will do
        self,
        kafka: Kafka | str,
        group: str,
        *,
        only: Collection[type[AnyEvent]] = (),
        start: Literal["earliest", "latest"] = "earliest",
        commit_every: float = 1.0,
        max_handling: float = 300.0,
        start_timeout: float = 30.0,
    ) -> None:
        self._kafka, self._group, self._only = Kafka.at(kafka), group, frozenset(only)
        self._start, self._start_timeout = start, start_timeout
        self._commit_every, self._max_handling = commit_every, max_handling
        self._consumer: AIOKafkaConsumer | None = None
        self._given: tuple[TopicPartition, int] | None = None
        self._handled: dict[TopicPartition, int] = {}
        self._committed_at = time.monotonic()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._start_timeout):
                    self._consumer = await self._opened(stack)
            except (KafkaError, TimeoutError) as error:
                raise ConnectionError(self._start_failure(error)) from error
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedEvent:
        while True:
            record = await self._next()
            try:
                if not self._only or EVENT_TYPES.get(type_of(record.headers, record.value), UnknownEvent) in self._only:
                    return received_event(record.headers, record.value)
            except ValueError as error:
                place = f"{record.topic}/{record.partition}/{record.offset}"
                raise UnreadableEventError(place, error) from error

    async def commit(self) -> None:
        """Commit all that was given, the last event included. If the group's members have changed, it comes again."""
        self._count_as_handled()
        await self._commit()

    async def _next(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        self._count_as_handled()
        consumer = self._opened_consumer()
        while True:
            if time.monotonic() - self._committed_at >= self._commit_every:
                await self._commit()
            seconds = max(self._commit_every, _LEAST_WAIT) if self._handled else _IDLE_WAIT
            try:
                fetched = await consumer.getmany(timeout_ms=int(seconds * 1_000), max_records=1)
            except asyncio.CancelledError as error:
                if is_cancelled():
                    raise
                raise ConnectionError("The consumer has fallen out of its group. Open a new one.") from error
            for partition, (record,) in fetched.items():
                self._given = partition, record.offset + 1
                return record

    def _count_as_handled(self) -> None:
        if self._given is not None:
            partition, next_offset = self._given
            self._handled[partition] = next_offset
            self._given = None

    async def _commit(self) -> None:
        consumer = self._opened_consumer()
        handled, self._handled, self._committed_at = self._handled, {}, time.monotonic()
        ours = consumer.assignment()
        if offsets := {partition: offset for partition, offset in handled.items() if partition in ours}:
            with suppress(CommitFailedError, IllegalStateError):  # another goes on from what was committed
                await consumer.commit(offsets)

    async def _let_go(self) -> None:
        """Called before the group shares its partitions anew: what is being handled comes again."""
        self._given = None
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._commit()
        self._given = None
        self._handled.clear()

    async def _opened(self, stack: AsyncExitStack) -> AIOKafkaConsumer:
        await knock(self._kafka)
        topic = self._kafka.topic(EVENTS_TOPIC)
        consumer = AIOKafkaConsumer(
            **self._kafka.options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset=self._start,
            isolation_level="read_committed",
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
            max_poll_interval_ms=int(self._max_handling * 1_000),
        )
        stack.push_async_callback(stop, consumer.stop)
        await consumer.start()
        while topic not in await consumer.topics():  # noqa: ASYNC110 - the service may be just starting, and says nothing
            await asyncio.sleep(_LOOK_AGAIN)
        consumer.subscribe([topic], listener=_Listener(self))
        stack.push_async_callback(stop, self._commit)
        return consumer

    def _opened_consumer(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("The consumer is not open: use it as `async with EventConsumer(…) as events`.")
        return self._consumer

    def _start_failure(self, error: Exception) -> str:
        topic = self._kafka.topic(EVENTS_TOPIC)
        return (
            f"Kafka at {self._kafka.servers} did not answer, or has no topic {topic}: {error!r}. "
            "Check the address, and that the service has been started: it creates its topics."
        )


class _Listener(ConsumerRebalanceListener):
    def __init__(self, consumer: EventConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        if revoked:
            await self._consumer._let_go()  # noqa: SLF001 - the two are one

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        pass
