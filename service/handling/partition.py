"""The owner of one command partition: opens it, turns what accumulates into transactions, closes it.

The order of the steps is the exactly-once protocol; docs/adr/0002 says what each of them prevents.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.definitions import DefinitionStatus
from service.contracts.envelope import REPLY_TO
from service.contracts.topics import COMMANDS, REPLY_TOPIC
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.handling import metrics
from service.handling.answering import Accepted, Answer, Desk, Misplaced, Refused
from service.handling.definitions_table import DefinitionsTable
from service.handling.opening import StartOffset, start_offset
from service.handling.producer import start_producer, stop_producer
from service.handling.replies import ReplyTopics
from service.handling.restore import restore
from service.handling.timeouts import Timeouts
from service.handling.transaction import Batch, ReplyRefusedError, write
from service.kafka.records import Record

MAX_BATCH_RECORDS = 1000
MAX_BATCH_BYTES = 4 << 20
MAX_FORGOTTEN = 5 * MAX_BATCH_RECORDS

log = structlog.get_logger(__name__)
_epochs = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all partitions of a handler share.

    `prove_membership` returns once the group still counts us as a member. `failed` is told of an error that no
    opening can cure: the process must end, rather than own a partition that nobody handles.
    """

    bootstrap_servers: str
    partitions: int
    transactional_id_prefix: str
    window: timedelta
    clock: Callable[[], datetime]
    definitions: DefinitionsTable
    reply_topics: ReplyTopics
    prove_membership: Callable[[], Awaitable[None]]
    failed: Callable[[BaseException], None]
    timeouts: Timeouts


class PartitionOwner:
    """Everything one owned partition needs: producer, state, queue, and the task that works through it.

    `epoch` changes with every opening: records that were fetched in an earlier one must not be handled. `fetched_to`
    is the offset after the last record taken in.
    """

    def __init__(
        self, around: Surroundings, consumer: AIOKafkaConsumer, partition: int, before: asyncio.Task[None] | None
    ) -> None:
        self.partition, self.epoch = partition, 0
        self.tp = TopicPartition(COMMANDS, partition)
        self.fetched_to = 0
        self._around, self._consumer, self._before = around, consumer, before
        self._queue: deque[Record] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._owned, self._parked = True, False
        self._open, self._working = False, False
        self._whole = False  # producer and state are fit for use: opened, and no error since
        self._failure: Exception | None = None
        self._producer: AIOKafkaProducer | None = None
        self._states: dict[str, Execution] = {}
        self._finished: list[tuple[datetime, str]] = []  # a heap: after a clock jumped back, older ones come later
        self._next_offset = self._events_end = 0
        self._missed_definition = False
        self._desk = Desk(partition, around.partitions, self._definition_of, around.reply_topics.flaw)
        self._task = asyncio.create_task(self._run(), name=f"partition-{partition}")
        self._task.add_done_callback(self._ended)

    @property
    def is_open(self) -> bool:
        """Whether records are taken in."""
        return self._open and self._owned and not self._parked

    @property
    def queued(self) -> int:
        """How many records wait."""
        return len(self._queue)

    def put(self, records: Sequence[Record]) -> None:
        """Take in records; they must have been fetched since this opening."""
        if self.is_open:
            self._queue.extend(records)
            self.fetched_to = records[-1].offset + 1
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
        self._queue.clear()

    async def settled(self) -> None:
        """Wait for the transaction in flight."""
        await self._idle.wait()

    def unpark(self) -> bool:
        """The partition came straight back: go on, if producer and state are whole (another owner would fence us)."""
        if not (self._whole and self._idle.is_set() and not self._task.done()):
            return False
        self._queue.clear()
        self.fetched_to = self._next_offset
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
        self._queue.clear()
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
        self._states, self._next_offset, self._events_end = restored.states, start, restored.events_end
        self._finished = [(state.at, key) for key, state in self._states.items() if state.status.is_final]
        heapq.heapify(self._finished)
        self._queue.clear()
        self._wake.clear()
        self.fetched_to, self._failure = start, None
        self._consumer.seek(self.tp, start)
        self._whole = True
        self._begin_epoch()
        self._consumer.resume(self.tp)
        log.info("partition_opened", partition=self.partition, offset=start, executions=len(self._states))

    async def _work(self) -> None:
        self._working = self._whole
        try:
            while self._owned and self._whole:
                self._check_failure()
                if self._parked or not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                self._idle.clear()
                async with asyncio.timeout(self._around.timeouts.transaction):
                    await self._handle(self._take_batch())
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

    def _take_batch(self) -> list[Record]:
        batch: list[Record] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH_RECORDS and size < MAX_BATCH_BYTES:
            record = self._queue.popleft()
            size += len(record.value or b"")
            batch.append(record)
        return batch

    async def _handle(self, records: list[Record]) -> None:
        around = self._around
        at = around.clock()
        await self._learn_reply_topics(records)
        with metrics.TRANSACTION_SECONDS.time():
            changed: dict[str, Execution] = {}
            answers = await self._answers(records, changed, at)
            forgotten = self._expired(at)
            end, reply_seconds = records[-1].offset + 1, around.timeouts.reply
            batch = Batch(self.partition, answers, changed.values(), forgotten, end, at, reply_seconds)
            assert self._producer is not None  # noqa: S101 - open partitions have one
            try:
                events_end = await write(self._producer, batch, self._events_end, around.definitions.get)
            except ReplyRefusedError as error:
                around.reply_topics.failed(error.topic, error.error)
                raise
        # Committed: only now may the new state be seen.
        self._next_offset, self._events_end = batch.next_offset, events_end
        self._states.update(changed)
        for key, state in changed.items():
            if state.status.is_final:
                heapq.heappush(self._finished, (state.at, key))
        for key in forgotten:
            del self._states[key]
        _count(answers)
        metrics.EXECUTIONS_KNOWN.labels(self.partition).set(len(self._states))

    async def _answers(self, records: list[Record], changed: dict[str, Execution], at: datetime) -> list[Answer]:
        """Answer all, each seeing what those before it did. `changed` collects the new states."""

        def state_of(execution_id: str) -> Execution | None:
            return changed.get(execution_id) or self._states.get(execution_id)

        answers: list[Answer] = []
        caught_up = False
        for record in records:
            self._missed_definition = False
            answer = self._desk.answer(record, state_of, at)
            if self._missed_definition and not caught_up:
                # All records of the batch are older than this moment: once is enough for all of them.
                await self._around.definitions.catch_up()
                caught_up = True
                answer = self._desk.answer(record, state_of, at)
            if isinstance(answer, Accepted):
                changed[answer.state.execution_id] = answer.state
            answers.append(answer)
        return answers

    def _definition_of(self, task_id: str, version: str) -> Definition | None:
        definition = self._around.definitions.get(task_id, version)
        if definition is None or definition.status is not DefinitionStatus.PUBLISHED:
            self._missed_definition = True
        return definition

    async def _learn_reply_topics(self, records: list[Record]) -> None:
        asked = {
            value.decode(errors="replace") for r in records for name, value in r.headers if name == REPLY_TO and value
        }
        names = {name for name in asked if REPLY_TOPIC.fullmatch(name)}
        if names:
            await self._around.reply_topics.learn(names)

    def _expired(self, at: datetime) -> list[str]:
        """Finished executions that leave the idempotency window now, so many at a time that the batch stays quick.

        If their transaction fails, the heap is thrown away with the rest of the state.
        """
        before = at - self._around.window
        expired: list[str] = []
        while self._finished and self._finished[0][0] < before and len(expired) < MAX_FORGOTTEN:
            expired.append(heapq.heappop(self._finished)[1])
        return expired

    # -- giving up

    async def _recover(self, error: BaseException) -> None:
        log.warning("partition_reset", partition=self.partition, error=repr(error))
        metrics.PARTITION_RESETS.labels(type(error).__name__).inc()
        await self._discard()
        await asyncio.sleep(0.2)
        # A zombie that wakes up must not fence the rightful owner once more.
        await self._around.prove_membership()

    async def _discard(self) -> None:
        self._whole = False
        self._set_open(value=False)
        self._queue.clear()
        self._states = {}
        producer, self._producer = self._producer, None
        if self._owned and self.tp in self._consumer.assignment():
            self._consumer.pause(self.tp)
        if producer is not None:
            await stop_producer(producer, self._around.timeouts)

    def _begin_epoch(self) -> None:
        self.epoch = next(_epochs)
        self._set_open(value=True)

    def _set_open(self, *, value: bool) -> None:
        if value != self._open:
            metrics.PARTITIONS_OPEN.inc(1 if value else -1)
        self._open = value


def _count(answers: Sequence[Answer]) -> None:
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0, "forwarded": 0}
    for answer in answers:
        if isinstance(answer, Accepted):
            counts["accepted"] += 1
        elif isinstance(answer, Refused):
            counts["rejected"] += 1
        elif isinstance(answer, Misplaced):
            counts["forwarded"] += 1
        else:
            counts["duplicate"] += 1
    for outcome, count in counts.items():
        metrics.COMMANDS.labels(outcome).inc(count)
