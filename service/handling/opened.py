"""What an opened partition works with: its producer, what it remembers, and where it goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.ringing import Ringing
from service.domain.timers import Timer
from service.handling import metrics
from service.handling.batches import Batches
from service.handling.bisection import Verdict
from service.handling.carrying_over import carry_over
from service.handling.context import HandlerContext
from service.handling.processing import Processing
from service.handling.producer import start_producer, stop_producer
from service.handling.recovery import StartOffset, check_state, start_offset
from service.handling.restoring import Progress, StoreRecords, restore
from service.handling.ringing import ring_all
from service.handling.snapshots import POSITION_KEY
from service.handling.state_store import StoreError
from service.handling.state_topic import state_topic
from service.handling.states import States
from service.handling.transaction import ReplyRefusedError, commit
from service.handling.unit_of_work import UnitOfWork
from service.kafka.installation import compare, present_installation
from service.kafka.records import Record

log = structlog.get_logger(__name__)


class OpenedPartition:
    """Producer and state of one partition. After an error, all of it is to be thrown away: the outcome is unknown.

    `next_offset` is that of the next command. `advanced` is called while an opening that takes long goes on.
    """

    states: States

    def __init__(
        self, context: HandlerContext, consumer: AIOKafkaConsumer, partition: int, advanced: Callable[[], None]
    ) -> None:
        self._context, self._consumer, self._partition = context, consumer, partition
        self._processing = Processing(partition, context, consumer)
        self._producer: AIOKafkaProducer | None = None
        self._close_store: Callable[[], Awaitable[None]] | None = None
        self.progress = Progress(partition, advanced)
        self.next_offset = self._events_end = 0
        self._since: Timestamp | None = None

    async def open(self) -> None:
        """Fence the old owner, then read what it has left. The order is the protocol's (docs/adr/0002).

        Raises:
            InstallationError, StateLostError: nothing here can cure it: the process must end, and a person act.
            ForeignTransactionError, UnreadableSnapshotError, StoreError, KafkaError.
        """
        context, kafka, partition = self._context, self._context.kafka, self._partition
        transactional_id = kafka.transactional_id(partition)
        self._producer = await start_producer(kafka, transactional_id, context.timeouts)
        # Only now: until its transaction was ended by our InitProducerId, the old owner could still commit.
        commands = kafka.partition(COMMANDS_TOPIC, partition)
        committed = await self._consumer.committed(commands)
        async with state_topic(kafka, partition, context.timeouts) as topic:
            if context.installation is not None:
                present = await present_installation(topic.reader, kafka, context.partitions)
                compare(kafka, context.installation, present)
            records = StoreRecords(topic.origin, context.kept, context.clock)
            store = await context.stores.open(records.origin, topic, context.clock())
            self._close_store = partial(asyncio.to_thread, store.close)
            await restore(topic, store, records, self.progress)
            await carry_over(self._producer, topic.tp, store, records, self.progress)
            (position,) = store.get([POSITION_KEY])
            await check_state(topic, position)
        known = StartOffset(committed, None if position is None else int(position))
        self.next_offset = await start_offset(self._consumer, commands, known)
        self.states, self._events_end = States(store, records), topic.events_end
        self._close_store = self.states.close
        self._since = context.clock()
        context.reply_topics.forget()

    async def transact(
        self, records: Sequence[Record], due: Sequence[Timer], verdict: Verdict, until: Timestamp | None = None
    ) -> int:
        """Answer the first records, as many as fit, and let the timers ring: all of it in one transaction.

        Of commands, all that were sent until `until` (now, if not given) are answered already.

        Returns:
            How many records are answered.
        """
        context = self._context
        assert self._producer is not None  # noqa: S101 - it has one since it was opened
        await self.states.settle()
        batches = Batches(self._producer.create_batch, context.kafka.topic)
        unit = UnitOfWork(self._partition, context.partitions, batches, self.states, context.clock())
        ringing = Ringing(unit.at, context.kept, self._since or unit.at, until or unit.at)
        rung = ring_all(due, unit, ringing)
        await self._processing.process(records, unit, verdict)
        if unit.is_empty:
            self.states.rung(due[:rung], due[rung:], unit.timers)  # they had nothing to do any more
            return 0
        next_offset = records[unit.count - 1].offset + 1 if unit.count else self.next_offset
        try:
            ends = await commit(
                context.kafka, self._producer, unit, next_offset, self._events_end, reply_seconds=context.timeouts.reply
            )
        except ReplyRefusedError as error:
            context.reply_topics.refused(error.topic, error.error)
            raise
        # Committed: only now may the new state be seen.
        self.next_offset, self._events_end = next_offset, ends.events
        self.states.rung(due[:rung], due[rung:])
        self.states.remember(unit.changed, unit.states.items(), unit.timers, ends.states)
        self._count(unit, verdict)
        return unit.count

    def _count(self, unit: UnitOfWork, verdict: Verdict) -> None:
        for outcome, count in unit.outcomes.items():
            metrics.COMMANDS_ANSWERED.labels(outcome).inc(count)
        metrics.EXECUTIONS_KNOWN.labels(self._partition).set(self.states.count)
        if verdict is not Verdict.DECIDE:
            metrics.COMMANDS_SET_ASIDE.inc()
            log.error("command_set_aside", partition=self._partition, offset=self.next_offset - 1, form=verdict.name)

    async def discard(self) -> None:
        """Stop the producer, within its deadline, and close the store."""
        try:
            if self._close_store is not None:
                await self._close_store()
        except StoreError as error:
            log.warning("state_store_closed_by_force", partition=self._partition, error=str(error))
        finally:  # also where this is cancelled
            if self._producer is not None:
                await stop_producer(self._producer, self._context.timeouts)
