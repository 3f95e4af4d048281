"""All task definitions, in memory: each handler reads the whole compacted topic and follows it.

So it does with the log of published definitions, and writes there what was published and nobody has written yet. Only
what stands in the log is used: of what several handlers found first, its order chooses one (ADR 0037).
"""

import asyncio
import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.topics import DEFINITIONS_TOPIC, MAX_RECORD_BYTES, PUBLISHED_TOPIC
from service.definitions.versions import Taken, Versions
from service.domain.definitions import Definition
from service.handling import metrics
from service.handling.published_log import write_published
from service.kafka.connection import Kafka
from service.kafka.records import Record, get_many

_PAUSE_SECONDS: Final = 0.2
_LOGGED: Final = 1_000
_MAX_RECORDS: Final = 1000
_RECORDING_SECONDS: Final = 2.0
"""What is published is in the log after so long, at most, if nobody has asked for it before."""

log = structlog.get_logger(__name__)


class DefinitionsTable:
    """Follows both topics from their starts. Use as `async with`; `run` must be running."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._versions = Versions()
        self._read = asyncio.Condition()
        self._taking = False  # the consumer's position is beyond records that are not in the table yet
        self._taken_to: dict[TopicPartition, int] = {}
        self._wanted = asyncio.Event()  # somebody waits for what is not in the log yet
        self._failure: KafkaError | None = None
        self._consumer = AIOKafkaConsumer(
            kafka.topic(DEFINITIONS_TOPIC),
            kafka.topic(PUBLISHED_TOPIC),
            group_id=None,
            **kafka.options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=MAX_RECORD_BYTES,
            fetch_max_wait_ms=50,  # what catch_up() asks waits behind a fetch: one connection, one request at a time
        )

    @property
    def sensitive(self) -> bool:
        """Whether some definition that was read has, or could have, a sensitive variable; it may be withdrawn since."""
        return self._versions.sensitive

    def get(self, task_id: str, version: str) -> Definition | None:
        """The definition, as far as the topics have been read; `flaw` says why if it cannot be used."""
        if (task_id, version) in self._versions.unrecorded:
            return None  # another handler may have found another one first
        return self._versions.get(task_id, version)

    async def start(self) -> None:
        """Connect and begin at the topics' starts."""
        await self._consumer.start()
        self._taken_to = await self._consumer.beginning_offsets(self._consumer.assignment())

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def run(self) -> None:
        """Follow the topics until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="follow definitions")
            group.create_task(self._keep_recording(), name="record definitions")

    async def catch_up(self) -> None:
        """Return once all that is in the topic as of now has been read: publishing, then executing works.

        Raises:
            KafkaError: Kafka does not answer, or what was published cannot be written to the log.
        """
        await self._read_to_end(DEFINITIONS_TOPIC)
        unrecorded = self._versions.unrecorded
        if waited := set(unrecorded):
            self._wanted.set()
            async with self._read:
                await self._read.wait_for(lambda: self._failure or not waited & unrecorded.keys())
            if self._failure and waited & unrecorded.keys():
                raise self._failure

    async def _follow(self) -> None:
        while True:
            try:
                fetched = await get_many(self._consumer, 100, _MAX_RECORDS)
            except KafkaError as error:
                log.warning("definitions_read_failed", error=repr(error))
                for tp, offset in self._taken_to.items():  # what getmany() had taken is lost with its exception
                    self._consumer.seek(tp, offset)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._taking = True
            for tp, records in fetched.items():
                await self.take(records)
                self._taken_to[tp] = records[-1].offset + 1
            self._taking = False
            async with self._read:
                self._read.notify_all()

    async def _keep_recording(self) -> None:
        """Write what was published to the log: soon, or at once where somebody waits for it."""
        me = asyncio.current_task()
        while me is None or not me.cancelling():  # aiokafka swallows a cancel that comes while it closes
            await asyncio.sleep(_PAUSE_SECONDS if self._failure else 0)
            with suppress(TimeoutError):
                # Not all handlers at once: the first one saves the others the work.
                await asyncio.wait_for(self._wanted.wait(), random.uniform(0, _RECORDING_SECONDS))  # noqa: S311 - no secret
            self._wanted.clear()
            try:
                await self._record()
                self._failure = None
            except KafkaError as error:
                log.warning("definitions_not_recorded", error=repr(error))
                self._failure = error
                async with self._read:
                    self._read.notify_all()

    async def _record(self) -> None:
        """Return once the log has all that was published as far as the topic has been read."""
        if not self._versions.unrecorded:
            return
        await self._read_to_end(PUBLISHED_TOPIC)
        if unrecorded := list(self._versions.unrecorded.values()):
            await write_published(self._kafka, unrecorded)
            await self._read_to_end(PUBLISHED_TOPIC)

    async def _read_to_end(self, name: str) -> None:
        topic = self._kafka.topic(name)
        ends = await self._consumer.end_offsets([tp for tp in self._consumer.assignment() if tp.topic == topic])
        async with self._read:
            while any([await self._consumer.position(tp) < end for tp, end in ends.items()]) or self._taking:
                await self._read.wait()

    async def take(self, records: Iterable[Record]) -> None:
        """Take in records. One that cannot be used is reported: its executions are refused, others run."""
        published = self._kafka.topic(PUBLISHED_TOPIC)
        for record in records:
            taken = self._versions.take_published(record) if record.topic == published else self._versions.take(record)
            _tell(record, taken)
            await asyncio.sleep(0)  # a large one takes a third of a second: everything else has its turn


def _tell(record: Record, taken: Taken) -> None:
    if taken.flaw is not None:
        metrics.DEFINITIONS_UNREADABLE.inc()
        log.error(
            "definition_unreadable", topic=record.topic, partition=record.partition, offset=record.offset,
            key=repr(record.key)[:_LOGGED], error=taken.flaw[:_LOGGED],
        )  # fmt: skip
    if taken.changes is not None:
        # A published version never changes again, says the spec (TaskDefinition).
        metrics.DEFINITIONS_CHANGED.inc()
        log.error("published_definition_changed", name=taken.changes, offset=record.offset, action="ignored")
