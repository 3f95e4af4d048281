"""The handlers' consumer group: who owns which partition, and the gate that drops what an older opening fetched."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError

from service.contracts.readiness import Readiness
from service.handling import metrics
from service.handling.context import HandlerContext
from service.handling.partition import PartitionOwner
from service.handling.queue import MAX_BATCH_BYTES, MAX_BATCH_RECORDS
from service.kafka.records import Record

MAX_QUEUED: Final = 3 * MAX_BATCH_RECORDS
MAX_QUEUED_BYTES: Final = 16 * MAX_BATCH_BYTES
_FETCH_PAUSE_SECONDS: Final = 0.2
_WATCH_SECONDS: Final = 1.0
_GATHERING_SECONDS: Final = 0.01
"""What comes within this time is fetched together: to fetch record by record takes as much CPU as to answer them."""

log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """What we need of FastStream's: the consumer that it has made when it calls us."""

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer of the commands."""
        ...


class PartitionGroup(ConsumerRebalanceListener):
    """Opens, parks and closes the owners as the group moves partitions about, and hands records to them.

    `subscriber`, whose listener this is, must be set before it starts.
    """

    subscriber: Subscriber

    def __init__(self, context: HandlerContext) -> None:
        self._context = context
        self._consumer: AIOKafkaConsumer | None = None
        self._owners: dict[int, PartitionOwner] = {}
        self._closing: dict[int, asyncio.Task[None]] = {}
        self._stamp: dict[int, int] = {}
        self._assigned = self._stopping = False

    # -- rebalances: aiokafka sends no heartbeat while these run, so they only park and start tasks

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - aiokafka revokes all
        """Stop taking records and let the transactions in flight end, within their deadline."""
        for owner in self._owners.values():
            owner.park()
        waits = [asyncio.create_task(owner.settled()) for owner in self._owners.values()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=self._context.timeouts.revoke)
            for wait in late:
                wait.cancel()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Keep what came straight back, give up what is gone, open what is new in tasks of their own."""
        consumer = self._adopt(self.subscriber.consumer)
        if self._stopping:
            return
        mine = {tp.partition: tp for tp in assigned}
        for partition in [*self._owners]:
            if partition not in mine or not self._owners[partition].unpark():
                self._drop(partition)
        for partition, tp in mine.items():
            if partition not in self._owners:
                consumer.pause(tp)
                consumer.seek(
                    tp, 0
                )  # a valid position keeps auto_offset_reset="none" quiet; the opening seeks for real
                before = self._closing.get(partition)
                self._owners[partition] = PartitionOwner(self._context, consumer, partition, before)
        self._assigned = True
        log.info("partitions_assigned", partitions=sorted(mine))

    def _drop(self, partition: int) -> None:
        metrics.COMMANDS_HELD_SECONDS.labels(partition).set(0)
        task = asyncio.create_task(self._owners.pop(partition).close(), name=f"closing-{partition}")
        self._closing[partition] = task
        task.add_done_callback(lambda done: self._closing.get(partition) is done and self._closing.pop(partition))

    def _adopt(self, consumer: AIOKafkaConsumer | None) -> AIOKafkaConsumer:
        """Stamp every batch with the epochs in which it was fetched, the moment getmany() returns.

        Between getmany() and the handler FastStream yields to the loop, and a partition may be opened anew.
        """
        assert consumer is not None  # noqa: S101 - FastStream has made it when it calls us
        if consumer is self._consumer:
            return consumer
        self._consumer = consumer
        getmany: Any = consumer.getmany

        async def stamped(*partitions: TopicPartition, **options: Any) -> dict[TopicPartition, list[Record]]:  # noqa: ANN401 - aiokafka's own signature
            try:
                wanted = partitions or self._with_room(consumer)
                fetched: dict[TopicPartition, list[Record]] = await getmany(*wanted, **options)
            except KafkaError as error:  # FastStream would sleep 5 s for all partitions
                fetched = await self._go_back(error, consumer)
            self._stamp = {number: owner.epoch for number, owner in self._owners.items() if owner.is_open}
            return fetched

        consumer.getmany = stamped  # type: ignore[method-assign, assignment]  # this one instance only
        return consumer

    # -- what it has open

    def readiness(self) -> Readiness:
        """Ready when every partition that the group gave us handles commands; we may have been given none."""
        if not self._assigned:
            return Readiness(ready=False, detail="no partitions yet: joining the group of the handlers")
        flaws = {number: owner.flaw() for number, owner in sorted(self._owners.items())}
        opened = [number for number, flaw in flaws.items() if flaw is None]
        detail = f"{len(opened)} of {len(flaws)} partitions open{': ' if opened else ''}{', '.join(map(str, opened))}"
        closed = [f"{number} {flaw}" for number, flaw in flaws.items() if flaw is not None]
        return Readiness(not closed, "; ".join([detail, *closed]))

    async def watch(self) -> None:
        """Look for transactions that hold partitions, every second, until cancelled."""
        while True:
            for number, owner in [*self._owners.items()]:
                if owner.is_open and self._consumer is not None:
                    with suppress(IllegalStateError):  # the group took it away meanwhile
                        await owner.holding.look(self._consumer, owner.tp)
                    metrics.COMMANDS_HELD_SECONDS.labels(number).set(owner.holding.seconds)
            await asyncio.sleep(_WATCH_SECONDS)

    # -- records

    async def _go_back(self, error: KafkaError, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[Record]]:
        """What getmany() had taken from other partitions is lost with its exception: fetch it once more."""
        log.warning("fetch_failed", error=repr(error))
        for owner in [owner for owner in self._owners.values() if owner.is_open]:
            consumer.seek(owner.tp, owner.queue.end)
            if isinstance(error, OffsetOutOfRangeError) and owner.tp in error.args[0]:
                owner.fail(error)
        await asyncio.sleep(_FETCH_PAUSE_SECONDS)
        return {}

    async def dispatch(self, records: Iterable[Record]) -> None:
        """Hand the batch that getmany() returned last to the owners; wait while no one has room. Never raises."""
        by_partition: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            by_partition[record.partition].append(record)
        for partition, batch in by_partition.items():
            owner = self._owners.get(partition)
            if owner is not None and self._stamp.get(partition) == owner.epoch:
                owner.put(batch)
        await asyncio.sleep(_GATHERING_SECONDS)
        while self._too_much_waits() and not self._with_room(self._consumer):  # noqa: ASYNC110 - owners come and go
            await asyncio.sleep(0.002)

    def _with_room(self, consumer: AIOKafkaConsumer | None) -> list[TopicPartition]:
        """The open partitions; where too much waits, those with less than their share: no backlog stops the others."""
        assigned = consumer.assignment() if consumer else ()
        owners = [owner for owner in self._owners.values() if owner.is_open and owner.tp in assigned]
        if self._too_much_waits():
            records, size = MAX_QUEUED / max(len(owners), 1), MAX_QUEUED_BYTES / max(len(owners), 1)
            owners = [owner for owner in owners if len(owner.queue) < records and owner.queue.size < size]
        return [owner.tp for owner in owners]

    def _too_much_waits(self) -> bool:
        queues = [owner.queue for owner in self._owners.values()]
        return sum(map(len, queues)) > MAX_QUEUED or sum(queue.size for queue in queues) > MAX_QUEUED_BYTES

    async def close(self) -> None:
        """Close all owners, open no more. aiokafka does not call on_partitions_revoked when it stops."""
        self._stopping = True
        for partition in [*self._owners]:
            self._drop(partition)
        if self._closing:
            await asyncio.wait([*self._closing.values()])
