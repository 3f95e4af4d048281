"""What this installation is made of: recorded once, compared at every start, so that nothing goes on silently.

A topic that was deleted and made anew has the same name; only its id tells (KIP-516). One with more partitions than
before has other owners for what is in it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, INSTALLATION_TOPIC, STATE_TOPIC
from service.kafka.connection import Kafka
from service.kafka.internals.topic_ids import cluster_ids

RECORDED: Final = (COMMANDS_TOPIC, EVENTS_TOPIC, STATE_TOPIC)
"""The topics that must stay what they are: what one has, the others rely on."""

OF_ALL_ROLES: Final = (COMMANDS_TOPIC, EVENTS_TOPIC)
"""The state is the handlers' alone: it may be rebuilt while the other roles run."""

WATCH_SECONDS: Final = 10.0

_KEY: Final = b"installation"
_REBUILD: Final = "Stop all handlers, then run `taskexec state rebuild`: it makes the state anew from the events."
ACCEPTING: Final = "taskexec state rebuild --accept-events"

log = structlog.get_logger(__name__)


class InstallationError(Exception):
    """Kafka's topics are not those that this installation was made with; the message says which, and what to do."""


class Installation(Struct, frozen=True):
    """The cluster's id, each topic's id by our name of it, how many partitions they have; `rebuilding`: half done."""

    cluster: str
    topics: dict[str, UUID]
    partitions: int
    rebuilding: bool = False
    version: int = 1


async def check_installation(kafka: Kafka, partitions: int) -> Installation:
    """Compare what there is with what was recorded; record it if nothing was, as versions before did.

    Raises:
        InstallationError: a topic was made anew, partitions were added, or a rebuild has not ended.
        ConnectionError: the broker does not answer.
    """
    with kafka.answering():
        async with _reader(kafka) as reader:
            present = await present_installation(reader, kafka, partitions)
            recorded = await recorded_installation(reader, kafka)
        if recorded != present:
            _refuse(kafka, recorded, present)
            await record_installation(kafka, present)
    return present


def _refuse(kafka: Kafka, recorded: Installation | None, present: Installation) -> None:
    if recorded is not None:
        if flaws := differences(kafka, recorded, present):
            raise InstallationError("\n".join(flaws))
        log.warning("installation_made_anew", reason="its commands, events and state were deleted, all of them")


async def watch_installation(kafka: Kafka, recorded: Installation, names: Collection[str]) -> None:
    """Look again and again whether Kafka still has these topics as they were recorded, until cancelled.

    While the broker does not answer, or a topic is only gone, whoever needs it says so.

    Raises:
        InstallationError: a topic was made anew.
    """
    me = asyncio.current_task()
    while me is None or not me.cancelling():  # aiokafka swallows a cancel that comes while it closes
        await asyncio.sleep(WATCH_SECONDS)
        with suppress(KafkaError):
            await verify_installation(kafka, recorded, names)


async def verify_installation(kafka: Kafka, recorded: Installation, names: Collection[str] = RECORDED) -> None:
    """Look whether Kafka still has these topics as they were recorded at the start.

    Raises:
        InstallationError: a topic was made anew since.
        KafkaError: the broker does not answer, or has not got a topic now.
    """
    async with _reader(kafka) as reader:
        compare(kafka, recorded, await present_installation(reader, kafka, recorded.partitions, names))


def compare(kafka: Kafka, recorded: Installation, present: Installation) -> None:
    """Raise an InstallationError if, in a process that has begun with one, there is another now."""
    if flaws := differences(kafka, recorded, present):
        raise InstallationError("\n".join(flaws))
    if _made_anew(recorded, present):
        raise InstallationError("All topics were deleted and made anew. Start again.")


def differences(kafka: Kafka, recorded: Installation, present: Installation) -> list[str]:
    """What keeps the service from going on, each with what to do about it. Pure.

    Who has deleted commands, events and state has begun anew on purpose: there is nothing left to go on from. With the
    commands that are left, all that they once did would be done a second time.
    """
    if recorded.rebuilding:
        return [f"The state is being rebuilt, or that was broken off. {_REBUILD}"]
    if recorded.cluster != present.cluster:
        return [_elsewhere(recorded, present)]
    changed = _made_anew(recorded, present)
    if len(changed) == len(RECORDED):
        return []
    flaws = [_advice(kafka, name, recorded, present) for name in changed]
    if recorded.partitions != present.partitions:
        flaws.append(
            f"The topics were made with {recorded.partitions} partitions and have {present.partitions} now: most "
            "executions would have another owner, which does not know them. To let their states move to these owners: "
            f"{_REBUILD}"
        )
    return flaws


def _elsewhere(recorded: Installation, present: Installation) -> str:
    return (
        f"This is Kafka cluster {present.cluster}; the topics were made on {recorded.cluster}. Set "
        "KAFKA_BOOTSTRAP_SERVERS to that one. If all topics were copied here, offsets and all: stop all handlers, then "
        f"run `{ACCEPTING}`."
    )


def _made_anew(recorded: Installation, present: Installation) -> list[str]:
    return [name for name, id_ in present.topics.items() if recorded.topics[name] != id_]


def _advice(kafka: Kafka, name: str, recorded: Installation, present: Installation) -> str:
    was, is_ = recorded.topics[name], present.topics[name]
    what = f"{kafka.topic(name)} was deleted and made anew: its id was {was} and is {is_}. "
    if name == EVENTS_TOPIC:
        return what + (
            "The record of all runs is gone from Kafka; ClickHouse still has what it had read. Stop all roles, restore "
            f"the topic from a backup, then run `{ACCEPTING}`. To begin anew without it, delete "
            f"{kafka.topic(COMMANDS_TOPIC)} and {kafka.topic(STATE_TOPIC)} as well, and give the projector another "
            "database."
        )
    return what + _REBUILD


async def present_installation(
    reader: AIOKafkaConsumer, kafka: Kafka, partitions: int, names: Collection[str] = RECORDED
) -> Installation:
    """What there is now, of the topics of these names."""
    ids = await cluster_ids(reader, [kafka.topic(name) for name in names])
    return Installation(ids.cluster, {kafka.our_name(name): id_ for name, id_ in ids.topics.items()}, partitions)


async def record_installation(kafka: Kafka, installation: Installation) -> None:
    """From now on, this is what must be there."""
    async with AIOKafkaProducer(**kafka.options(), acks="all", enable_idempotence=True) as producer:
        value = msgspec.json.encode(installation)
        await producer.send_and_wait(kafka.topic(INSTALLATION_TOPIC), value, _KEY, partition=0)
    log.info("installation_recorded", **json.loads(value))


@asynccontextmanager
async def _reader(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(**kafka.options(), enable_auto_commit=False, auto_offset_reset="none")
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def recorded_installation(reader: AIOKafkaConsumer, kafka: Kafka) -> Installation | None:
    """What was recorded last; None if nothing was, as by versions before."""
    tp = kafka.partition(INSTALLATION_TOPIC, 0)
    begin, end = (await reader.beginning_offsets([tp]))[tp], (await reader.end_offsets([tp]))[tp]
    reader.assign([tp])
    reader.seek(tp, begin)
    found = None
    while await reader.position(tp) < end:
        for records in (await reader.getmany(timeout_ms=500)).values():
            found = next((record.value for record in reversed(records) if record.key == _KEY), found)
    return None if found is None else msgspec.json.decode(found, type=Installation)
