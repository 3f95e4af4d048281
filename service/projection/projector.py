"""The projector: reads the topics from where the store stands, inserts, and only then moves the position."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.readiness import STARTING, Readiness
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.connection import Kafka
from service.ports.errors import UnavailableError
from service.ports.positions import PartitionPosition
from service.ports.projection_store import ProjectionStore
from service.projection import metrics
from service.projection.batch import TOPICS, Batch, Insert, Row, make_batch
from service.projection.reading import begin, check_topics, gather, reached, started_consumer
from service.projection.writing import writing

log = structlog.get_logger(__name__)

MAX_ROWS: Final = 20_000
COMMIT_MS: Final = 1_000
LINGER_SECONDS: Final = 0.1
"""Between inserts of few rows: each is a part that ClickHouse must merge."""

_LONGEST_WAIT_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 15.0
"""Committed is every second, or what takes long is an outage, whether or not it says so."""


class Projector:
    """Keeps the store equal to the events and rejections topics.

    It owns its consumer; the store is the caller's. Whatever fails, there is one way on: throw the consumer away, read
    the position from the store and begin again from there. Rows that were written already change nothing. Several
    projectors on one store are safe, and wasteful.
    """

    def __init__(self, store: ProjectionStore, kafka: Kafka, partitions: int) -> None:
        self._store = store
        self._kafka = kafka
        self._readiness = STARTING
        self._committed = time.monotonic()
        self.next_offsets: dict[TopicPartition, int] = {}
        """Of each partition, the first offset that is not stored, as far as that is known."""
        self._partitions = [kafka.partition(topic, number) for topic in TOPICS for number in range(partitions)]

    @property
    def readiness(self) -> Readiness:
        """As of the last batch; not ready once nothing could be written for a while."""
        silent = time.monotonic() - self._committed
        if self._readiness.ready and silent > _SILENT_SECONDS:
            return Readiness(ready=False, detail=f"has written nothing for {silent:.0f} s: the store does not answer")
        return self._readiness

    async def run(self) -> None:
        """Project until cancelled. While Kafka or the store is down: wait, alarm, and skip nothing.

        Raises:
            ForeignStoreError: the store holds events of other topics, or such as Kafka has not got.
            Exception: what should never happen; the process must not live on without its projector.
        """
        again = stamina.retry_context(
            on=(KafkaError, UnavailableError), attempts=None, timeout=None, wait_max=_LONGEST_WAIT_SECONDS
        )
        async for attempt in again:
            with attempt:
                await self._project_and_report()

    async def _project_and_report(self) -> None:
        try:
            await self._project()
        except (KafkaError, UnavailableError) as error:
            metrics.INTERRUPTIONS.labels(type(error).__name__).inc()
            self._readiness = Readiness(ready=False, detail=f"interrupted, trying again: {error}")
            log.error("projection_interrupted", error=str(error), attempt_again_within_seconds=_LONGEST_WAIT_SECONDS)  # noqa: TRY400 - the parts are down, our code is not
            raise

    async def _project(self) -> None:
        known = {self._kafka.partition(p.topic, p.partition): p.offset for p in await self._store.positions()}
        next_offsets = {partition: known.get(partition, -1) + 1 for partition in self._partitions}
        self.next_offsets = {**next_offsets}
        async with started_consumer(self._kafka) as consumer, writing() as writes:
            await check_topics(self._store, self._kafka, consumer)
            await begin(consumer, next_offsets)
            live = set(self._partitions)
            self._report(live)
            for partition in live:
                metrics.BLOCKED.labels(*partition).set(0)
            while True:
                began = time.monotonic()
                records, all_there = await gather(consumer, COMMIT_MS, MAX_ROWS)
                lingering = all_there and bool(records)
                if lingering:  # else one record is fetched ahead, which holds up those that come after it
                    consumer.pause(*live)
                batch = await asyncio.to_thread(make_batch, records, self._kafka)
                del records  # as large as the rows; they would be held until the next ones are there
                positions = await reached(consumer, self._kafka, live, batch)
                self._leave(consumer, live, batch)
                await writes.begin(partial(self._write, batch, positions, frozenset(live)))
                if lingering:
                    await writes.end()
                    await asyncio.sleep(LINGER_SECONDS - (time.monotonic() - began))
                    consumer.resume(*live)

    @staticmethod
    def _leave(consumer: AIOKafkaConsumer, live: set[TopicPartition], batch: Batch) -> None:
        """A blocked partition is read no more, nor committed: its `asOf` grows old."""
        for partition, (_, error) in batch.unreadable.items():
            live.discard(partition)
            consumer.pause(partition)
            metrics.BLOCKED.labels(*partition).set(1)
            log.error("partition_blocked", flaw=str(error), advice="upgrade to a version that can read it.")

    async def _write(
        self, batch: Batch, positions: Sequence[PartitionPosition], live: Collection[TopicPartition]
    ) -> None:
        await self._insert(batch)
        await self._commit(positions)
        self._report(live, sum(position.lag for position in positions))

    async def _insert(self, batch: Batch) -> None:
        await _write(self._kafka.topic(EVENTS_TOPIC), batch.events, self._store.insert_events)
        await _write(self._kafka.topic(REJECTIONS_TOPIC), batch.rejections, self._store.insert_rejections)
        if batch.newest:
            metrics.LAST_EVENT.set(batch.newest / 1000)

    async def _commit(self, positions: Sequence[PartitionPosition]) -> None:
        await self._store.write_positions(positions)
        for position in positions:
            partition = self._kafka.partition(position.topic, position.partition)
            self.next_offsets[partition] = position.offset + 1
            metrics.LAG.labels(*partition).set(position.lag)
        metrics.LAST_COMMIT.set_to_current_time()
        self._committed = time.monotonic()

    def _report(self, live: Collection[TopicPartition], lag: int | None = None) -> None:
        detail = f"{len(live)} of {len(self._partitions)} partitions open"
        if lag is not None:
            detail += f", {lag} offsets behind"
        blocked = [f"{topic}/{number}" for topic, number in sorted({*self._partitions}.difference(live))]
        if blocked:
            detail += f"; stopped before a record that this version cannot read: {', '.join(blocked)}"
        self._readiness = Readiness(not blocked, detail)


async def _write(topic: str, insert: Insert[Row], write: Callable[[Sequence[Row], str], Awaitable[None]]) -> None:
    if insert.rows:
        with metrics.INSERT_SECONDS.time():
            await write(insert.rows, insert.token)
        metrics.RECORDS.labels(topic).inc(len(insert.rows))
