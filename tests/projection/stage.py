"""What a projector's test needs: a transactional producer, ClickHouse at the topics' ends, waiting for conditions."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.envelope import Headers
from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.domain.view import view
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow, ProjectionStore, RejectionRow
from service.projection.projector import Projector
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import asked, body, headers

PARTITIONS = 3
ALL = [TopicPartition(topic, number) for topic in (EVENTS_TOPIC, REJECTIONS_TOPIC) for number in range(PARTITIONS)]


@dataclass
class Stage:
    """`published` has the offsets of all committed events, by partition; `kafka` says in which topics.

    `newest` is the last offset of each partition that has been written, events or not.
    """

    bootstrap_servers: str
    driver: Driver
    store: ClickHouseStore
    producer: AIOKafkaProducer
    kafka: Kafka
    published: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    newest: dict[TopicPartition, int] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def prepared(cls, bootstrap_servers: str, driver: Driver, prefix: str = "") -> AsyncIterator["Stage"]:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id="tests", linger_ms=5)
        await producer.start()
        stage = cls(bootstrap_servers, driver, ClickHouseStore(driver), producer, Kafka(bootstrap_servers, prefix))
        await stage.forget()
        try:
            yield stage
        finally:
            await producer.stop()

    async def forget(self) -> None:
        """Let the projection begin at the topics' ends."""
        ends = await self.ends()
        here = [PartitionPosition(*place, offset=end - 1, end_offset=end, as_of=0) for place, end in ends.items()]
        await self.store.write_positions(here)

    async def publish(self, events: Iterable[Event], *, commit: bool = True) -> None:
        """Write the events in one transaction, which is then committed or aborted."""
        events = list(events)
        await self.producer.begin_transaction()
        sent = [
            await self.producer.send(
                self.kafka.topic(EVENTS_TOPIC), body(event), event.execution_id.encode(), headers=headers(event),
                partition=partition_of(event.execution_id.encode(), PARTITIONS),
            )
            for event in events
        ]  # fmt: skip
        places = await asyncio.gather(*sent)
        if not commit:
            await self.producer.abort_transaction()
            return
        await self.producer.commit_transaction()
        for place in places:
            self.published[place.partition].append(place.offset)
            self.newest[TopicPartition(EVENTS_TOPIC, place.partition)] = place.offset

    async def publish_raw(self, topic: str, value: bytes, sent: Headers, partition: int) -> int:
        """Write any record; returns its offset."""
        async with self.producer.transaction():
            place = await self.producer.send_and_wait(self.kafka.topic(topic), value, headers=sent, partition=partition)
        self.newest[TopicPartition(topic, partition)] = place.offset
        return int(place.offset)

    async def ends(self) -> Mapping[TopicPartition, int]:
        """The topics' last stable offsets."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers, isolation_level="read_committed")
        await consumer.start()
        try:
            found = await consumer.end_offsets([self.kafka.partition(*place) for place in ALL])
            return {
                TopicPartition(self.kafka.our_name(place.topic), place.partition): end for place, end in found.items()
            }
        finally:
            await consumer.stop()

    async def visible(self) -> bool:
        """Whether all that was published can be read: a commit is acknowledged a moment before."""
        ends = await self.ends()
        return all(ends[place] > offset for place, offset in self.newest.items())

    @asynccontextmanager
    async def projecting(self, store: ProjectionStore | None = None) -> AsyncIterator[asyncio.Task[None]]:
        """A projector runs; it must not end by itself."""
        projector = Projector(store or self.store, self.kafka, PARTITIONS)
        task = asyncio.create_task(projector.run())
        try:
            yield task
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def positions(self) -> dict[TopicPartition, PartitionPosition]:
        return {TopicPartition(p.topic, p.partition): p for p in await self.store.positions()}

    async def caught_up(self, partitions: Sequence[TopicPartition] = ALL) -> None:
        """Return when the position of each of the partitions is at its end, beyond all that was published."""

        async def there() -> bool:
            ends, found = await self.ends(), await self.positions()
            return all(found[partition].offset == ends[partition] - 1 for partition in partitions)

        await until(self.visible)

        await until(there)

    async def projected(self) -> dict[str, TaskExecution]:
        """Everything that the read side lists; Get and the counts are checked to say the same."""
        queries = TaskExecutionQueries(self.store, PARTITIONS)
        page = await queries.list(asked(page_size=1000))
        found = list(page.items)
        while page.next_cursor:
            page = await queries.list(asked(page_size=1000, cursor=page.next_cursor))
            found += page.items
        stats = await queries.stats()
        assert page.total == stats.total == len(found) == len({item.id for item in found})
        counts = [stats.pending, stats.running, stats.success, stats.failure, stats.stopped, stats.skipped]
        assert sum(counts) == stats.total == sum(one.total for one in await queries.stats_by_task())
        return {item.id: item for item in found}

    async def places_stored(self) -> set[tuple[int, int]]:
        """The partition and offset of every event that is stored; each event counts once."""
        rows = await self.driver.query("SELECT partition, offset FROM task_execution_events FINAL")
        return {(row["partition"], row["offset"]) for row in rows}

    async def events_stored(self) -> int:
        (row,) = await self.driver.query("SELECT count() AS n FROM task_execution_events FINAL")
        return int(row["n"])


def whole(lives: Iterable[Sequence[Event]]) -> dict[str, TaskExecution]:
    """What the read side must list after these lives."""
    return {events[0].execution_id: view(events) for events in lives}


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 90) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


class Delegating:
    """The real store, which a test can watch or disturb."""

    def __init__(self, real: ProjectionStore) -> None:
        self.real = real

    async def positions(self) -> Sequence[PartitionPosition]:
        return await self.real.positions()

    async def topic_ids(self) -> Mapping[str, UUID]:
        return await self.real.topic_ids()

    async def write_topic_ids(self, ids: Mapping[str, UUID]) -> None:
        await self.real.write_topic_ids(ids)

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        await self.real.insert_events(rows, token)

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        await self.real.insert_rejections(rows, token)

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        await self.real.write_positions(positions)

    async def drop_finished(self, before: int) -> int:
        return await self.real.drop_finished(before)

    async def drop_payloads(self, since: int, before: int) -> int:
        return await self.real.drop_payloads(since, before)

    async def drop_rejections(self, before: int) -> int:
        return await self.real.drop_rejections(before)
