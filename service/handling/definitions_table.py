"""All task definitions, in memory: each handler reads the whole compacted topic and follows it."""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.topics import DEFINITIONS_TOPIC, MAX_RECORD_BYTES
from service.domain.definitions import Definition
from service.handling import metrics
from service.handling.definition_records import read_definition
from service.kafka.connection import Kafka
from service.kafka.records import Record, get_many

_PAUSE_SECONDS: Final = 0.2
_LOGGED: Final = 1_000
_MAX_RECORDS: Final = 1000

log = structlog.get_logger(__name__)


class DefinitionsTable:
    """Follows the definitions topic from its start. Use as `async with`; `run` must be running.

    `sensitive`: some definition that was read has, or could have, a sensitive variable; it may be withdrawn since.
    """

    def __init__(self, kafka: Kafka) -> None:
        self.sensitive = False
        self._definitions: dict[tuple[str, str], Definition] = {}
        self._keys: dict[tuple[str, str], bytes | None] = {}
        self._by_key: dict[bytes | None, set[tuple[str, str]]] = {}
        self._read = asyncio.Condition()
        self._taking = False  # the consumer's position is beyond records that are not in the table yet
        self._taken_to: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            kafka.topic(DEFINITIONS_TOPIC),
            group_id=None,
            **kafka.options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=MAX_RECORD_BYTES,
            fetch_max_wait_ms=50,  # what catch_up() asks waits behind a fetch: one connection, one request at a time
        )

    def get(self, task_id: str, version: str) -> Definition | None:
        """The definition, as far as the topic has been read; `flaw` says why if it cannot be used."""
        return self._definitions.get((task_id, version))

    async def start(self) -> None:
        """Connect and begin at the topic's start."""
        await self._consumer.start()
        self._taken_to = await self._consumer.beginning_offsets(self._consumer.assignment())

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def run(self) -> None:
        """Follow the topic until cancelled."""
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

    async def catch_up(self) -> None:
        """Return once all that is in the topic as of now has been read: publishing, then executing works."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        async with self._read:
            while any([await self._consumer.position(tp) < end for tp, end in ends.items()]) or self._taking:
                await self._read.wait()

    async def take(self, records: Iterable[Record]) -> None:
        """Take in records. One that cannot be used is reported: its executions are refused, others run."""
        for record in records:
            if record.value is None:
                self._withdraw(record.key)
            else:
                self._take(record, record.value)
            await asyncio.sleep(0)  # a large one takes a third of a second: everything else has its turn

    def _take(self, record: Record, value: bytes) -> None:
        read = read_definition(record, value)
        self.sensitive = self.sensitive or read.sensitive
        if read.flaw is not None:
            metrics.DEFINITIONS_UNREADABLE.inc()
            log.error(
                "definition_unreadable", topic=record.topic, partition=record.partition, offset=record.offset,
                key=repr(record.key)[:_LOGGED], error=read.flaw[:_LOGGED],
            )  # fmt: skip
        if read.definition is not None:
            self._put(record, read.definition)

    def _put(self, record: Record, definition: Definition) -> None:
        identity = (definition.task_id, definition.version)
        known = self._definitions.get(identity)
        if known is not None and known.is_published:
            if definition.flaw is not None or known.source != definition.source:
                # A published version never changes again, says the spec (TaskDefinition).
                log.error("published_definition_changed", name=known.name, offset=record.offset, action="ignored")
                return
        else:
            self._definitions[identity] = definition
        self._keys[identity] = record.key
        self._by_key.setdefault(record.key, set()).add(identity)

    def _withdraw(self, key: bytes | None) -> None:
        """Remove what was last written under this key, and under no other one since."""
        for identity in self._by_key.pop(key, ()):
            if self._keys.get(identity) == key:
                del self._keys[identity], self._definitions[identity]
