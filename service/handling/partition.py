"""The owner of one command partition: opens it, turns what accumulates into transactions, closes it.

The order of the steps is the exactly-once protocol; docs/adr/0002 says what each of them prevents.
"""

import asyncio
import itertools
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from service.contracts.timestamps import Timestamp, from_epoch_ms
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.timers import Timer
from service.handling import metrics
from service.handling.bisection import Bisection, Verdict
from service.handling.context import HandlerContext
from service.handling.holding import PATIENCE_SECONDS, Holding
from service.handling.opened import OpenedPartition
from service.handling.phases import NEXT_PHASES, Phase
from service.handling.queue import CommandQueue
from service.handling.recovery import StateLostError
from service.kafka.installation import InstallationError
from service.kafka.internals.membership import is_member
from service.kafka.records import Record

log = structlog.get_logger(__name__)
_epochs = itertools.count(1)
_PAUSE: Final = 0.2
_LISTENING: Final = timedelta(seconds=1)
"""Whoever has asked Kafka since then is up to date: it is asked without a pause, each time for a tenth of a second."""

_LEAST_WAIT: Final = 1.0
"""Timers of an idle partition that nobody waits for are carried out together, at most this often."""


class PartitionOwner:
    """Everything one owned partition needs: producer, state, queue, and the task that works through it.

    `epoch` changes with every opening: records that were fetched in an earlier one must not be handled.
    """

    def __init__(
        self, context: HandlerContext, consumer: AIOKafkaConsumer, partition: int, before: asyncio.Task[None] | None
    ) -> None:
        self.partition, self.epoch, self.phase = partition, 0, Phase.OPENING
        self.tp = context.kafka.partition(COMMANDS_TOPIC, partition)
        self.queue = CommandQueue()
        self.holding = Holding()
        self._context, self._consumer, self._before = context, consumer, before
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._failure: Exception | None = None
        self._resets = 0  # since the last transaction
        self._bisection = Bisection()
        self._deadline = asyncio.timeout(None)
        self._closed_since, self._trouble = asyncio.get_running_loop().time(), ""
        self._opened = self._new()
        self._task = asyncio.create_task(self._run(), name=f"partition-{partition}")
        self._task.add_done_callback(self._ended)

    @property
    def is_open(self) -> bool:
        """Whether records are taken in."""
        return self.phase is Phase.OPEN

    def flaw(self) -> str | None:
        """Why no commands are handled now, or None."""
        if not self.is_open:
            seconds, progress = asyncio.get_running_loop().time() - self._closed_since, str(self._opened.progress)
            return f"{self.phase} for {seconds:.0f} s{self._trouble}{progress and ', '}{progress}"
        if self.holding.seconds < PATIENCE_SECONDS:
            return None
        return (
            f"held for {self.holding.seconds:.0f} s by a transaction that a client has open before its next command; "
            "it must be ended there, or with kafka-transactions.sh abort"
        )

    def put(self, records: Sequence[Record]) -> None:
        """Take in records; they must have been fetched since this opening."""
        if self.is_open:
            self.queue.put(records)
            self._wake.set()

    def fail(self, error: Exception) -> None:
        """The records that come next cannot be fetched: open again, which finds out why."""
        self._failure = error
        self._wake.set()

    # -- rebalances

    def park(self) -> None:
        """A rebalance begins: take nothing new, keep producer and state in case the partition comes straight back."""
        if self.phase is Phase.OPEN:
            self._move(Phase.PARKED)
        elif self.phase is Phase.OPENING:  # there is nothing to keep
            self._move(Phase.CLOSED)
        self.queue.clear()

    async def settled(self) -> None:
        """Wait for the transaction in flight."""
        await self._idle.wait()

    def unpark(self) -> bool:
        """The partition came straight back: go on, if it could be parked (another owner would fence us)."""
        if self.phase is not Phase.PARKED or not self._idle.is_set():
            return False
        self._go_on()
        self._wake.set()
        return True

    async def close(self) -> None:
        """Let the transaction in flight end within its deadline, then give everything up."""
        works = self.phase in {Phase.OPEN, Phase.PARKED}
        self._move(Phase.CLOSED)
        self.queue.clear()
        self._wake.set()
        timeouts = self._context.timeouts
        if works:
            await asyncio.wait([self._task], timeout=timeouts.revoke + timeouts.stop)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=2 * timeouts.stop + 1)

    # -- the life of the partition

    async def _run(self) -> None:
        try:
            if self._before is not None:
                await asyncio.wait([self._before])
            while self.phase is Phase.OPENING:
                try:
                    async with asyncio.timeout(self._context.timeouts.opening) as self._deadline:
                        await self._open()
                    await self._work()
                except asyncio.CancelledError as error:
                    if self._task.cancelling():
                        raise
                    await self._recover(error)  # not meant for us: aiokafka cancels futures of its own
                except (InstallationError, StateLostError) as error:
                    metrics.STATE_LOST.inc()
                    log.error("state_lost", partition=self.partition, why=str(error))  # noqa: TRY400 - the topics are wrong, our code is not
                    raise
                except Exception as error:  # noqa: BLE001 - any error leaves the outcome unknown: the one cure is to open again
                    await self._recover(error)
        finally:
            await self._discard()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._context.fail(error)
        elif self.phase is not Phase.CLOSED:
            self._context.fail(RuntimeError(f"the task of partition {self.partition} ended by itself: {task!r}"))

    def _new(self) -> OpenedPartition:
        return OpenedPartition(self._context, self._consumer, self.partition, self._go_on_opening)

    def _go_on_opening(self) -> None:
        """The opening gets on: its deadline is one for silence, however much there is to restore."""
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._context.timeouts.opening)

    async def _open(self) -> None:
        opened = self._opened  # a new one: an error discards it
        await opened.open()
        if self.phase is not Phase.OPENING:
            return
        # No await from here to the end: nothing fetched before may slip in between.
        self._wake.clear()
        self._failure = None
        self._go_on()
        log.info(
            "partition_opened", partition=self.partition, offset=opened.next_offset, executions=opened.states.count
        )

    def _go_on(self) -> None:
        """Fetch from the next command on; what was fetched before is dropped."""
        self.queue.restart(self._opened.next_offset)
        self._consumer.seek(self.tp, self._opened.next_offset)  # the committed offset may be behind
        self.epoch, self._trouble = next(_epochs), ""
        self._move(Phase.OPEN)
        self._consumer.resume(self.tp)

    async def _work(self) -> None:
        try:
            while self.phase in {Phase.OPEN, Phase.PARKED}:
                self._check_failure()
                due = self._due()
                if self.phase is Phase.PARKED or not (self.queue or due):
                    await self._wait()
                    continue
                self._idle.clear()
                until = await self._heard_until() if due else None
                await self._transact(self.queue.take_batch(self._bisection.limit), due, until)
                self._idle.set()
        except BaseException:
            if self.phase is not Phase.CLOSED:  # a parked one cannot be gone on with: its outcome is unknown
                self._move(Phase.OPENING if self.phase is Phase.OPEN else Phase.CLOSED)
            raise
        finally:
            self._idle.set()

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _due(self) -> list[Timer]:
        if self.phase is Phase.PARKED or (self.queue and self._bisection.is_on):
            return []  # while the one record is searched for, nothing else may be why a batch fails
        return self._opened.states.take_due(self._context.clock())

    async def _wait(self) -> None:
        """Until there are records, something changes, or the next timer is due."""
        self._wake.clear()
        left = self._opened.states.seconds_left(self._context.clock(), _LEAST_WAIT)
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._wake.wait()

    async def _heard_until(self) -> Timestamp:
        """When the last command was sent of those that are answered; now, if none waits as far as Kafka has told.

        While there are some that were not fetched, that is not known.
        """
        now = self._context.clock()
        is_behind = await self._consumer.position(self.tp) < (self._consumer.last_stable_offset(self.tp) or 0)
        asked = from_epoch_ms(0 if is_behind else self._consumer.last_poll_timestamp(self.tp) or 0)
        held = now - timedelta(seconds=self.holding.seconds)
        heard = held if now - asked < _LISTENING else min(held, asked)
        return min(heard, from_epoch_ms(self.queue.next_sent)) if self.queue else heard

    async def _transact(self, records: list[Record], due: list[Timer], until: Timestamp | None) -> None:
        verdict = self._bisection.verdict(records[0]) if records else Verdict.DECIDE  # a suspect comes alone
        try:
            with metrics.TRANSACTION_SECONDS.time():
                async with asyncio.timeout(self._context.timeouts.transaction):
                    answered = await self._opened.transact(records, due, verdict, until)
        except BaseException as error:
            self._bisection.failed(records, error)
            raise
        self.queue.put_back(records[answered:])
        self._resets = 0
        self._bisection.committed(self._opened.next_offset)

    # -- giving up

    async def _recover(self, error: BaseException) -> None:
        searching, self._bisection.searching = self._bisection.searching, False
        # The text of an error that nobody foresaw may hold what it failed on.
        what = repr(error) if isinstance(error, KafkaError) or not searching else type(error).__name__
        self._trouble = f" after {what}"
        # Where a defect shows: as text, for loggers that add what the variables held are slow, and show payloads.
        where = {"trace": "".join(traceback.format_tb(error.__traceback__))} if searching else {}
        log.warning("partition_reset", partition=self.partition, error=what, **where)
        metrics.PARTITION_RESETS.labels(type(error).__name__).inc()
        await self._discard()
        timeouts = self._context.timeouts
        await asyncio.sleep(_PAUSE if searching else min(_PAUSE * 2**self._resets, timeouts.max_pause))
        self._resets += 1
        # A zombie that wakes up must not fence the rightful owner once more.
        while not await is_member(self._consumer):  # noqa: ASYNC110 - only the coordinator knows
            await asyncio.sleep(_PAUSE)

    async def _discard(self) -> None:
        self.queue.clear()
        opened, self._opened = self._opened, self._new()
        if self.phase is not Phase.CLOSED and self.tp in self._consumer.assignment():
            self._consumer.pause(self.tp)
        await opened.discard()

    def _move(self, to: Phase) -> None:
        if to is self.phase:
            return
        if to not in NEXT_PHASES[self.phase]:
            raise RuntimeError(f"partition {self.partition} cannot be {to} after {self.phase}")
        if Phase.OPEN in {to, self.phase}:
            metrics.PARTITIONS_OPEN.inc(1 if to is Phase.OPEN else -1)
            self._closed_since = asyncio.get_running_loop().time()
        self.phase = to
