"""The owner of one command partition: opens it, turns what accumulates into transactions, closes it.

The order of the steps is the exactly-once protocol; docs/adr/0002 says what each of them prevents.
"""

import asyncio
import itertools
import traceback
from collections.abc import Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC
from service.handling import metrics
from service.handling.batch_answering import Answered, BatchAnswering
from service.handling.batches import Batches
from service.handling.holding import PATIENCE_SECONDS, Holding
from service.handling.inbox import Inbox
from service.handling.memory import Memory
from service.handling.opening import StartOffset, start_offset
from service.handling.outbox import Outbox
from service.handling.producer import start_producer, stop_producer
from service.handling.restore import restore
from service.handling.surroundings import Surroundings
from service.handling.suspicion import Suspicion, Verdict
from service.handling.transaction import Batch, ReplyRefusedError, write
from service.kafka.records import Record

log = structlog.get_logger(__name__)
_epochs = itertools.count(1)
_PAUSE: Final = 0.2


class PartitionOwner:
    """Everything one owned partition needs: producer, state, queue, and the task that works through it.

    `epoch` changes with every opening: records that were fetched in an earlier one must not be handled.
    """

    def __init__(
        self, around: Surroundings, consumer: AIOKafkaConsumer, partition: int, before: asyncio.Task[None] | None
    ) -> None:
        self.partition, self.epoch = partition, 0
        self.tp = TopicPartition(COMMANDS_TOPIC, partition)
        self.inbox = Inbox()
        self._around, self._consumer, self._before = around, consumer, before
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._owned, self._parked = True, False
        self._open, self._working = False, False
        self._whole = False  # producer and state are fit for use: opened, and no error since
        self._failure: Exception | None = None
        self._resets = 0  # since the last transaction
        self._suspicion = Suspicion()
        self.holding = Holding()
        self._closed_since, self._trouble = asyncio.get_running_loop().time(), ""
        self._producer: AIOKafkaProducer | None = None
        self._memory = Memory({}, around.window)
        self._next_offset = self._events_end = 0
        self._answering = BatchAnswering(partition, around.partitions, around.definitions, around.reply_topics)
        self._task = asyncio.create_task(self._run(), name=f"partition-{partition}")
        self._task.add_done_callback(self._ended)

    @property
    def is_open(self) -> bool:
        """Whether records are taken in."""
        return self._open and self._owned and not self._parked

    def flaw(self) -> str | None:
        """Why no commands are handled now, or None."""
        if not self.is_open:
            return f"closed for {asyncio.get_running_loop().time() - self._closed_since:.0f} s{self._trouble}"
        if self.holding.seconds < PATIENCE_SECONDS:
            return None
        return (
            f"held for {self.holding.seconds:.0f} s by a transaction that a client has open before its next command; "
            "it must be ended there, or with kafka-transactions.sh abort"
        )

    def put(self, records: Sequence[Record]) -> None:
        """Take in records; they must have been fetched since this opening."""
        if self.is_open:
            self.inbox.put(records)
            self._wake.set()

    def fail(self, error: Exception) -> None:
        """The records that come next cannot be fetched: open again, which finds out why."""
        self._failure = error
        self._wake.set()

    # -- rebalances

    def park(self) -> None:
        """A rebalance begins: take nothing new, keep producer and state in case the partition comes straight back."""
        self._parked = True
        self._set_open(value=False)
        self.inbox.clear()

    async def settled(self) -> None:
        """Wait for the transaction in flight."""
        await self._idle.wait()

    def unpark(self) -> bool:
        """The partition came straight back: go on, if producer and state are whole (another owner would fence us)."""
        if not (self._whole and self._idle.is_set() and not self._task.done()):
            return False
        self.inbox.restart(self._next_offset)
        self._consumer.seek(self.tp, self._next_offset)  # the committed offset may be behind
        self._consumer.resume(self.tp)
        self._begin_epoch()
        self._parked = False
        self._wake.set()
        return True

    async def close(self) -> None:
        """Let the transaction in flight end within its deadline, then give everything up."""
        self._owned = False
        self._set_open(value=False)
        self.inbox.clear()
        self._wake.set()
        timeouts = self._around.timeouts
        if self._working:
            await asyncio.wait([self._task], timeout=timeouts.revoke + timeouts.stop)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=2 * timeouts.stop + 1)

    # -- the life of the partition

    async def _run(self) -> None:
        try:
            if self._before is not None:
                await asyncio.wait([self._before])
            while self._owned and not self._parked:
                try:
                    async with asyncio.timeout(self._around.timeouts.opening):
                        await self._open_partition()
                    await self._work()
                except asyncio.CancelledError as error:
                    if self._task.cancelling():
                        raise
                    await self._recover(error)  # not meant for us: aiokafka cancels futures of its own
                except Exception as error:  # noqa: BLE001 - any error leaves the outcome unknown: the one cure is to open again
                    await self._recover(error)
        finally:
            await self._discard()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._around.failed(error)
        elif self._owned and not self._parked:
            self._around.failed(RuntimeError(f"the task of partition {self.partition} ended by itself: {task!r}"))

    async def _open_partition(self) -> None:
        around = self._around
        transactional_id = f"{around.transactional_id_prefix}.{self.partition}"
        self._producer = await start_producer(around.bootstrap_servers, transactional_id, around.timeouts)
        # Only now: until its transaction was ended by our InitProducerId, the old owner could still commit.
        committed = await self._consumer.committed(self.tp)
        restored = await restore(around.bootstrap_servers, self.partition, around.timeouts)
        start = await start_offset(self._consumer, self.tp, StartOffset(committed, restored.position))
        around.reply_topics.forget()
        if not self._owned or self._parked:
            return
        # No await from here to the end: nothing fetched before may slip in between.
        self._memory = Memory(restored.states, around.window)
        self._next_offset, self._events_end = start, restored.events_end
        self.inbox.restart(start)
        self._wake.clear()
        self._failure = None
        self._consumer.seek(self.tp, start)
        self._whole = True
        self._begin_epoch()
        self._consumer.resume(self.tp)
        log.info("partition_opened", partition=self.partition, offset=start, executions=len(restored.states))

    async def _work(self) -> None:
        self._working = self._whole
        try:
            while self._owned and self._whole:
                self._check_failure()
                if self._parked or not self.inbox:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                self._idle.clear()
                async with asyncio.timeout(self._around.timeouts.transaction):
                    await self._handle(self.inbox.take_batch(self._suspicion.limit))
                self._idle.set()
        except BaseException:
            self._whole = False
            raise
        finally:
            self._working = False
            self._idle.set()

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _handle(self, records: list[Record]) -> None:
        try:
            with metrics.TRANSACTION_SECONDS.time():
                await self._transact(records)
        except BaseException as error:
            self._suspicion.failed(records, error)
            raise

    async def _transact(self, records: list[Record]) -> None:
        around = self._around
        at = around.clock()
        assert self._producer is not None  # noqa: S101 - open partitions have one
        outbox = Outbox(self.partition, Batches(self._producer.create_batch))
        answered = await self._answer(records, at, outbox)
        self.inbox.put_back(records[answered.count :])
        next_offset = records[answered.count - 1].offset + 1
        forgotten = self._memory.take_expired(at)
        batch = Batch(outbox, answered.changed.values(), forgotten, next_offset, at, around.timeouts.reply)
        try:
            events_end = await write(self._producer, batch, self._events_end, around.definitions.get)
        except ReplyRefusedError as error:
            around.reply_topics.failed(error.topic, error.error)
            raise
        # Committed: only now may the new state be seen.
        self._resets = 0
        self._suspicion.committed(next_offset)
        self._next_offset, self._events_end = next_offset, events_end
        self._memory.apply(answered.changed, forgotten)
        for outcome, count in outbox.outcomes.items():
            metrics.COMMANDS_ANSWERED.labels(outcome).inc(count)
        metrics.EXECUTIONS_KNOWN.labels(self.partition).set(len(self._memory.states))

    async def _answer(self, records: list[Record], at: Timestamp, outbox: Outbox) -> Answered:
        verdict = self._suspicion.verdict(records[0])  # whoever is under suspicion comes alone
        if verdict is Verdict.DECIDE:
            return await self._answering.answer_all(records, self._memory.states, at, outbox.add)
        outbox.add([await self._answering.set_aside(records[0], bare=verdict is Verdict.SET_ASIDE_BARE)], at)
        metrics.COMMANDS_SET_ASIDE.inc()
        log.error("command_set_aside", partition=self.partition, offset=records[0].offset, form=verdict.name)
        return Answered({}, 1)

    # -- giving up

    async def _recover(self, error: BaseException) -> None:
        searching, self._suspicion.searching = self._suspicion.searching, False
        self._trouble = f" after {error!r}"
        # Where a defect shows: as text, for loggers that add what the variables held are slow, and show payloads.
        where = {"trace": "".join(traceback.format_tb(error.__traceback__))} if searching else {}
        log.warning("partition_reset", partition=self.partition, error=repr(error), **where)
        metrics.PARTITION_RESETS.labels(type(error).__name__).inc()
        await self._discard()
        await asyncio.sleep(_PAUSE if searching else min(_PAUSE * 2**self._resets, self._around.timeouts.max_pause))
        self._resets += 1
        # A zombie that wakes up must not fence the rightful owner once more.
        await self._around.prove_membership()

    async def _discard(self) -> None:
        self._whole = False
        self._set_open(value=False)
        self.inbox.clear()
        self._memory = Memory({}, self._around.window)
        producer, self._producer = self._producer, None
        if self._owned and self.tp in self._consumer.assignment():
            self._consumer.pause(self.tp)
        if producer is not None:
            await stop_producer(producer, self._around.timeouts)

    def _begin_epoch(self) -> None:
        self.epoch, self._trouble = next(_epochs), ""
        self._set_open(value=True)

    def _set_open(self, *, value: bool) -> None:
        if value != self._open:
            metrics.PARTITIONS_OPEN.inc(1 if value else -1)
            self._closed_since = asyncio.get_running_loop().time()
        self._open = value
