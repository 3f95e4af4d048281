"""What an opened partition works with: its producer, what it remembers, and where it goes on."""

from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contracts.topics import COMMANDS_TOPIC
from service.domain.timers import Timer
from service.handling import metrics
from service.handling.batches import Batches
from service.handling.bisection import Verdict
from service.handling.context import HandlerContext
from service.handling.processing import Processing
from service.handling.producer import start_producer, stop_producer
from service.handling.recovery import Restored, StartOffset, restore, start_offset
from service.handling.states import States
from service.handling.transaction import ReplyRefusedError, commit
from service.handling.unit_of_work import UnitOfWork
from service.kafka.records import Record

log = structlog.get_logger(__name__)


class OpenedPartition:
    """Producer and state of one partition. After an error, all of it is to be thrown away: the outcome is unknown.

    `next_offset` is that of the next command.
    """

    def __init__(self, context: HandlerContext, consumer: AIOKafkaConsumer, partition: int) -> None:
        self._context, self._consumer, self._partition = context, consumer, partition
        self._processing = Processing(partition, context, consumer)
        self._producer: AIOKafkaProducer | None = None
        self._go_on_from(Restored(), 0)

    async def open(self) -> None:
        """Fence the old owner, then read what it has left. The order is the protocol's (docs/adr/0002).

        Raises:
            StateLostError, ForeignTransactionError, UnreadableSnapshotError, KafkaError: see `recovery`.
        """
        context, tp = self._context, TopicPartition(COMMANDS_TOPIC, self._partition)
        transactional_id = f"{context.transactional_id_prefix}.{self._partition}"
        self._producer = await start_producer(context.bootstrap_servers, transactional_id, context.timeouts)
        # Only now: until its transaction was ended by our InitProducerId, the old owner could still commit.
        committed = await self._consumer.committed(tp)
        restored = await restore(context.bootstrap_servers, self._partition, context.timeouts)
        self._go_on_from(restored, await start_offset(self._consumer, tp, StartOffset(committed, restored.position)))
        context.reply_topics.forget()

    def _go_on_from(self, restored: Restored, offset: int) -> None:
        self.states = States(restored.states, self._context.window)
        self.next_offset, self._events_end = offset, restored.events_end

    async def transact(self, records: Sequence[Record], due: Sequence[Timer], verdict: Verdict) -> int:
        """Answer the first records, as many as fit, and let the timers ring: all of it in one transaction.

        Returns:
            How many records are answered.
        """
        context = self._context
        assert self._producer is not None  # noqa: S101 - it has one since it was opened
        batches = Batches(self._producer.create_batch)
        unit = UnitOfWork(self._partition, context.partitions, batches, self.states, context.clock())
        unit.ring(due, context.window)
        await self._processing.process(records, unit, verdict)
        if not (unit.count or unit.changed):
            return 0  # the timers that were due had nothing to do any more
        next_offset = records[unit.count - 1].offset + 1 if unit.count else self.next_offset
        try:
            self._events_end = await commit(self._producer, unit, next_offset, self._events_end, context.timeouts.reply)
        except ReplyRefusedError as error:
            context.reply_topics.failed(error.topic, error.error)
            raise
        # Committed: only now may the new state be seen.
        self.next_offset = next_offset
        self.states.remember(unit.changed, unit.timers)
        self._count(unit, verdict)
        return unit.count

    def _count(self, unit: UnitOfWork, verdict: Verdict) -> None:
        for outcome, count in unit.outcomes.items():
            metrics.COMMANDS_ANSWERED.labels(outcome).inc(count)
        metrics.EXECUTIONS_KNOWN.labels(self._partition).set(len(self.states))
        if verdict is not Verdict.DECIDE:
            metrics.COMMANDS_SET_ASIDE.inc()
            log.error("command_set_aside", partition=self._partition, offset=self.next_offset - 1, form=verdict.name)

    async def discard(self) -> None:
        """Stop the producer, within its deadline."""
        if self._producer is not None:
            await stop_producer(self._producer, self._context.timeouts)
