"""The steps of `taskexec state rebuild`, in an order in which each may be the last."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import stamina
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from msgspec.structs import replace

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC, TOPICS
from service.handling.handler import utc_now
from service.handling.rebuilding import RebuildError, Tell, fold_events, verify_states, write_states
from service.handling.stores import StateStores
from service.kafka.connection import Kafka
from service.kafka.installation import Installation, present_installation, record_installation, recorded_installation
from service.kafka.provisioning import ensure_topics

_SECONDS: Final = 30.0
_ENDED: Final = ("Empty", "Dead")

log = structlog.get_logger(__name__)


async def rebuild_state(kafka: Kafka, partitions: int, replication_factor: int, tell: Tell) -> int:
    """Make the state topic anew, for so many partitions; returns how many executions it has.

    Raises:
        RebuildError: handlers run, commands wait that would have another owner, or the events are not whole.
        KafkaError: the broker does not answer.
    """
    async with _admin(kafka) as admin, _consumer(kafka) as consumer:
        await _refuse_members(admin, kafka)
        recorded = await recorded_installation(consumer, kafka)
        present = await present_installation(consumer, kafka, partitions, (COMMANDS_TOPIC, EVENTS_TOPIC))
        _refuse_other_events(recorded, present)
        before = await _partition_count(admin, kafka, EVENTS_TOPIC)
        if before > partitions:
            raise RebuildError(f"There are {before} partitions; Kafka can't take any away. Give {before} or more.")
        positions = await _positions(consumer, kafka, before, recorded, present)
        if before < partitions:
            await _refuse_waiting(consumer, kafka, positions)
        positions += [0] * (partitions - before)
        was = recorded or replace(present, topics={**present.topics, STATE_TOPIC: present.topics[EVENTS_TOPIC]})
        await record_installation(kafka, replace(was, rebuilding=True))
        await _delete_state(admin, kafka)
        await _add_partitions(admin, kafka, before, partitions)
    await ensure_topics(kafka, partitions, replication_factor)
    store = await StateStores(None).temporary()
    try:
        await fold_events(kafka, partitions, store, tell)
        await write_states(kafka, store, positions, utc_now(), tell)
        count = await verify_states(kafka, partitions, store, tell)
    finally:
        store.close()
    async with _consumer(kafka) as consumer:
        await record_installation(kafka, await present_installation(consumer, kafka, partitions))
    return count


async def _refuse_members(admin: AIOKafkaAdminClient, kafka: Kafka) -> None:
    answers: list[Any] = await admin.describe_consumer_groups([kafka.group])
    members = sum(len(group[5]) for answer in answers for group in answer.groups)
    if members:
        raise RebuildError(f"{members} handlers are running. Stop them all, then begin again.")


def _refuse_other_events(recorded: Installation | None, present: Installation) -> None:
    if recorded is not None and recorded.topics[EVENTS_TOPIC] != present.topics[EVENTS_TOPIC]:
        raise RebuildError(
            f"{EVENTS_TOPIC} was deleted and made anew: it has not got all events. Restore it from a backup."
        )


async def _positions(
    consumer: AIOKafkaConsumer, kafka: Kafka, partitions: int, recorded: Installation | None, present: Installation
) -> list[int]:
    """The next command of each partition: as the group has it, if these are the same commands; else the first there is.

    Commands that come twice by this are repeats of what the states remember.
    """
    tps = [kafka.partition(COMMANDS_TOPIC, number) for number in range(partitions)]
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    same = recorded is None or recorded.topics[COMMANDS_TOPIC] == present.topics[COMMANDS_TOPIC]
    committed = [await consumer.committed(tp) if same else None for tp in tps]
    return [
        begins[tp] if offset is None else min(max(offset, begins[tp]), ends[tp])
        for tp, offset in zip(tps, committed, strict=True)
    ]


async def _refuse_waiting(consumer: AIOKafkaConsumer, kafka: Kafka, positions: list[int]) -> None:
    """Commands of one key must not be handled in two partitions at once: those that wait come first."""
    tps = [kafka.partition(COMMANDS_TOPIC, number) for number in range(len(positions))]
    ends = await consumer.end_offsets(tps)
    for tp, position in zip(tps, positions, strict=True):
        consumer.assign([tp])
        consumer.seek(tp, position)
        while await consumer.position(tp) < ends[tp]:
            if await consumer.getmany(timeout_ms=500, max_records=1):
                raise RebuildError(
                    f"Commands wait in {tp.topic}/{tp.partition}. Stop those who send, start the handlers with the old "
                    "number of partitions until all is handled, stop them, and begin again."
                )


async def _delete_state(admin: AIOKafkaAdminClient, kafka: Kafka) -> None:
    name = kafka.topic(STATE_TOPIC)
    answer: Any = await admin.delete_topics([name])
    for _, code in ((*entry,)[:2] for entry in answer.topic_error_codes):
        if code and for_code(code) is not UnknownTopicOrPartitionError:
            raise for_code(code)(name)
    async for attempt in stamina.retry_context(on=RebuildError, timeout=_SECONDS):
        with attempt:
            if name in await admin.list_topics():
                raise RebuildError(f"{name} is not deleted yet.")


async def _add_partitions(admin: AIOKafkaAdminClient, kafka: Kafka, before: int, partitions: int) -> None:
    if before == partitions:
        return
    owned = [kafka.topic(topic.name) for topic in TOPICS if topic.owned and topic.name != STATE_TOPIC]
    short = [name for name in owned if await _count(admin, name) < partitions]
    answer: Any = await admin.create_partitions({name: NewPartitions(total_count=partitions) for name in short})
    for name, code, message in ((*entry,)[:3] for entry in answer.topic_errors):
        if code:
            raise for_code(code)(f"{name}: {message}")


async def _partition_count(admin: AIOKafkaAdminClient, kafka: Kafka, name: str) -> int:
    return await _count(admin, kafka.topic(name))


async def _count(admin: AIOKafkaAdminClient, name: str) -> int:
    (described,) = await admin.describe_topics([name])
    if described["error_code"]:
        raise for_code(described["error_code"])(name)
    return len(described["partitions"])


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**kafka.options())
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of no group's work: it has the group's name to ask for its offsets."""
    consumer = AIOKafkaConsumer(
        **kafka.options(), group_id=kafka.group, isolation_level="read_committed", enable_auto_commit=False,
        auto_offset_reset="none",
    )  # fmt: skip
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
