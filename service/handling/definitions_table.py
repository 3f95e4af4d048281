"""All task definitions, in memory: each handler reads the whole compacted topic and follows it."""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from service.contracts.codec import MalformedJsonError, decode
from service.contracts.definitions import TaskDefinition
from service.contracts.topics import DEFINITIONS, MAX_RECORD_BYTES
from service.domain.definitions import Definition, InvalidDefinitionError
from service.handling import metrics
from service.kafka.records import CutValue, Record

_PAUSE_SECONDS: Final = 0.2
_MAX_RECORDS: Final = 1000

log = structlog.get_logger(__name__)


class _CutDefinitionError(Exception):
    """The record is too large, or its batch is damaged."""


class DefinitionsTable:
    """Follows the definitions topic from its start. Use as `async with`; `run` must be running."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._definitions: dict[tuple[str, str], Definition] = {}
        self._by_key: dict[bytes | None, tuple[str, str]] = {}
        self._read = asyncio.Condition()
        self._taken_to: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            DEFINITIONS,
            group_id=None,
            bootstrap_servers=bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=MAX_RECORD_BYTES,
            fetch_max_wait_ms=50,  # what catch_up() asks waits behind a fetch: one connection, one request at a time
        )

    def get(self, task_id: str, version: str) -> Definition | None:
        """The definition, as far as the topic has been read."""
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
                fetched = await self._consumer.getmany(timeout_ms=100, max_records=_MAX_RECORDS)
            except KafkaError as error:
                log.warning("definitions_read_failed", error=repr(error))
                for tp, offset in self._taken_to.items():  # what getmany() had taken is lost with its exception
                    self._consumer.seek(tp, offset)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            for tp, records in fetched.items():
                self.take(records)
                self._taken_to[tp] = records[-1].offset + 1
            async with self._read:
                self._read.notify_all()

    async def catch_up(self) -> None:
        """Return once all that is in the topic as of now has been read: publishing, then executing works."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        async with self._read:
            while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
                await self._read.wait()

    def take(self, records: Iterable[Record]) -> None:
        """Take in records. One that cannot be read is reported and left out: its executions are refused, others run."""
        for record in records:
            if record.value is None:
                self._definitions.pop(self._by_key.pop(record.key, ("", "")), None)
                continue
            try:
                self._put(record, record.value)
            except (_CutDefinitionError, MalformedJsonError, ValidationError, InvalidDefinitionError) as error:
                metrics.DEFINITIONS_UNREADABLE.inc()
                log.error(  # noqa: TRY400 - the reason says it all, a traceback adds nothing
                    "definition_unreadable", topic=record.topic, partition=record.partition, offset=record.offset,
                    key=repr(record.key), error=str(error),
                )  # fmt: skip

    def _put(self, record: Record, value: bytes) -> None:
        if isinstance(value, CutValue):
            raise _CutDefinitionError(value.flaw)
        source = TaskDefinition.model_validate(decode(value), by_alias=True, by_name=False)
        identity = (source.task_id, source.version)
        known = self._definitions.get(identity)
        if known is not None and known.is_published:
            if known.source != source:
                # A published version never changes again, says the spec (TaskDefinition).
                log.error("published_definition_changed", key=source.key, offset=record.offset, action="ignored")
            return
        self._definitions[identity] = Definition(source)
        self._by_key[record.key] = identity
