"""The command handler: a FastStream application around the partition group."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Final

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from service.contracts.readiness import Readiness
from service.contracts.sensitive import Seal, withhold
from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC, REPLIES_TOPIC
from service.handling.broker_security import broker_options
from service.handling.context import HandlerContext
from service.handling.definitions_table import DefinitionsTable
from service.handling.rebalancing import MAX_QUEUED, PartitionGroup
from service.handling.reply_topics import ReplyTopics
from service.handling.stores import StateStores
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.installation import Installation
from service.kafka.internals.fetching import bound_fetching
from service.kafka.internals.membership import STICKY
from service.kafka.records import Record

FORGET_AFTER_DROP: Final = timedelta(days=1)
"""A finished execution is forgotten so long after its record may be dropped: its repeat must not meet the record."""


def utc_now() -> Timestamp:
    """The clock of the write side."""
    return Timestamp.of(Timestamp.now(UTC))


@dataclass(frozen=True, slots=True)
class HandlerOptions:
    """`partitions` is the partition count of the owned topics.

    `retention` is how long the record of a finished execution is kept, None for ever; `state_dir` is where the state is
    kept on this machine, None to read it from Kafka at every start. `installation` is what every opening must find.
    `seal` makes of a sensitive value what is told of it.
    """

    kafka: Kafka
    partitions: int
    retention: timedelta | None = None
    state_dir: Path | None = None
    installation: Installation | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    clock: Callable[[], Timestamp] = utc_now
    seal: Seal = withhold


@dataclass(frozen=True, slots=True)
class RunningHandler:
    """A handler at work. `task` ends only by an error that must end the process; `readiness` says what it has open."""

    task: asyncio.Task[None]
    readiness: Callable[[], Readiness]


@asynccontextmanager
async def running_handler(options: HandlerOptions) -> AsyncIterator[RunningHandler]:
    """Handle commands while the context is open.

    Raises:
        KafkaError: on entering: the broker does not answer.
    """
    bound_fetching()
    definitions = DefinitionsTable(options.kafka)
    context = HandlerContext(
        kafka=options.kafka,
        partitions=options.partitions,
        installation=options.installation,
        kept=None if options.retention is None else options.retention + FORGET_AFTER_DROP,
        clock=options.clock,
        definitions=definitions,
        stores=StateStores(options.state_dir),
        reply_topics=ReplyTopics(options.kafka.topic(REPLIES_TOPIC)),
        failure=asyncio.get_running_loop().create_future(),
        timeouts=options.timeouts,
        seal=options.seal,
    )
    broker, group = _subscribed(context)
    stop_seconds = options.timeouts.revoke + options.timeouts.stop
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_stop, definitions.stop, stop_seconds)
        await definitions.start()
        following = asyncio.create_task(definitions.run(), name="definitions")
        watch = asyncio.create_task(_first_failure(context.failure, following), name="handler")
        holding = asyncio.create_task(group.watch(), name="held partitions")
        stack.push_async_callback(_cancel, watch, following, holding)
        await definitions.catch_up()
        stack.push_async_callback(_stop, broker.stop, stop_seconds)
        stack.push_async_callback(group.close)
        await broker.start()
        yield RunningHandler(watch, group.readiness)


async def _stop(stop: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Stop a part that may wait for a broker that is gone, or (aiokafka) end in a CancelledError nobody asked for."""
    stopping = asyncio.ensure_future(stop())
    await asyncio.wait([stopping], timeout=seconds)
    await _cancel(stopping)


async def _cancel(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _first_failure(failure: asyncio.Future[None], following: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait([failure, following], return_when=asyncio.FIRST_COMPLETED)
    done.pop().result()


def _subscribed(context: HandlerContext) -> tuple[KafkaBroker, PartitionGroup]:
    kafka, timeouts, group = context.kafka, context.timeouts, PartitionGroup(context)
    broker = KafkaBroker(
        **broker_options(kafka.options()),
        consumer_only=True,
        request_timeout_ms=15_000,
        retry_backoff_ms=50,
        graceful_timeout=timeouts.revoke,
        logger=None,
        apply_types=False,  # it would call what takes the records by way of a thread
        serializer=None,
    )
    subscriber = broker.subscriber(
        kafka.topic(COMMANDS_TOPIC),
        batch=True,
        max_records=MAX_QUEUED,
        batch_timeout_ms=20,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        listener=group,
        parser=_as_it_is,
        decoder=_records,
        group_id=kafka.group,
        isolation_level="read_committed",
        auto_offset_reset="none",
        session_timeout_ms=int(timeouts.session * 1000),
        heartbeat_interval_ms=int(timeouts.heartbeat * 1000),
        rebalance_timeout_ms=int(timeouts.rebalance * 1000),
        max_poll_interval_ms=int(timeouts.max_poll_interval * 1000),
        fetch_max_bytes=6 << 20,
        max_partition_fetch_bytes=2 << 20,
        fetch_max_wait_ms=100,  # an opening's and a reply's questions wait behind a fetch on the same connection
        partition_assignment_strategy=STICKY,
    )
    group.subscriber = subscriber
    subscriber(group.dispatch)
    return broker, group


async def _as_it_is(records: tuple[Record, ...]) -> KafkaMessage:
    """Leave the records as they are: FastStream's own parser fails on headers that are not UTF-8."""
    return KafkaMessage(
        body=b"", raw_message=records, headers={}, message_id="", correlation_id="-", consumer=_unused_consumer()
    )


async def _records(message: KafkaMessage) -> tuple[Record, ...]:
    raw: Any = message.raw_message
    return raw  # type: ignore[no-any-return]


def _unused_consumer() -> Any:  # noqa: ANN401 - acknowledging is the transaction's business, not the message's
    return None
