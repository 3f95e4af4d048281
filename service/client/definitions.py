"""Publishes task definitions as the service that owns them does, and reads what is published."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from service.client.definition_reading import reading_definitions
from service.contracts import topics
from service.contracts.definitions import DEFINITION_TYPE, DefinitionStatus, TaskDefinition
from service.contracts.envelope import envelope_headers
from service.definitions.versions import Identity, Versions
from service.domain.definition_changes import same
from service.kafka.connection import Kafka

SOURCE: Final = "/task-definitions"
"""The CloudEvents source of definitions that name none."""


class PublishedAlreadyError(Exception):
    """Versions were published with another body, and never change. The action: publish a new version.

    `conflicts` has each as it is published (None: it cannot be used, so there is no telling) and as it was given.
    `written` is what was stored all the same: somebody published another one at the same moment, and first.
    """

    def __init__(
        self,
        conflicts: Sequence[tuple[TaskDefinition | None, TaskDefinition]],
        written: Sequence[TaskDefinition] = (),
    ) -> None:
        self.conflicts, self.written = tuple(conflicts), tuple(written)
        names = ", ".join(given.key for _, given in conflicts)
        super().__init__(f"published already, with another body: {names}")


async def read_versions(kafka: Kafka | str) -> Versions:
    """All versions of all tasks, as the handlers have them.

    Raises:
        KafkaRefusedError: our name, password, token or certificate is not good, or Kafka's is not.
        KafkaError: Kafka does not answer, or has no definitions topic.
    """
    async with reading_definitions(Kafka.at(kafka)) as reader:
        await reader.read_on()
        return reader.versions


async def publish_definitions(
    kafka: Kafka | str, definitions: Sequence[TaskDefinition], *, source: str = SOURCE
) -> list[TaskDefinition]:
    """Write them, in order, to the definitions topic; on return Kafka has stored all of them.

    They can be executed at once: a handler that does not know a definition reads on to the topic's end first.

    Returns:
        Those that were written. The others are there already, as they are given.

    Raises:
        PublishedAlreadyError: a version is published with another body. Nothing was written; unless somebody
            published it at the same moment, and first: then theirs counts, and what was `written` is there.
        KafkaRefusedError: our name, password, token or certificate is not good, or Kafka's is not.
        KafkaError: some may not have been stored; publish them again.
    """
    kafka = Kafka.at(kafka)
    async with reading_definitions(kafka) as reader:
        await reader.read_on()
        new = _new(reader.versions, definitions)
        if new:
            await _write(kafka, new, source)
            await reader.read_on()
            _refuse(reader.versions, new, written=new)
    return new


def _new(versions: Versions, definitions: Iterable[TaskDefinition]) -> list[TaskDefinition]:
    """Those that the topic does not have."""
    _refuse(versions, definitions)
    new: dict[Identity, TaskDefinition] = {}
    for given in definitions:
        identity = (given.task_id, given.version)
        if (before := new.get(identity)) and before.status is DefinitionStatus.PUBLISHED and not same(before, given):
            raise PublishedAlreadyError([(before, given)])
        last = versions.last(*identity)
        if last is None or last.flaw is not None or not same(last.source, given):
            new[identity] = given
    return list(new.values())


def _refuse(
    versions: Versions, definitions: Iterable[TaskDefinition], *, written: Sequence[TaskDefinition] = ()
) -> None:
    """Raise a PublishedAlreadyError if something else is published."""
    conflicts: list[tuple[TaskDefinition | None, TaskDefinition]] = []
    for given in definitions:
        published = versions.published(given.task_id, given.version)
        if published is not None and published.flaw is not None:
            conflicts.append((None, given))
        elif published is not None and not same(published.source, given):
            conflicts.append((published.source, given))
    if conflicts:
        raise PublishedAlreadyError(conflicts, written)


async def _write(kafka: Kafka, definitions: Iterable[TaskDefinition], source: str) -> None:
    producer = AIOKafkaProducer(
        **kafka.options(), enable_idempotence=True, acks="all", max_request_size=topics.MAX_RECORD_BYTES
    )
    try:
        await producer.start()
        topic = kafka.topic(topics.DEFINITIONS_TOPIC)
        stored = [await producer.send(topic, **_record(item, source)) for item in definitions]
        await asyncio.gather(*stored)
    finally:
        await producer.stop()


def _record(definition: TaskDefinition, source: str) -> dict[str, object]:
    return {
        "key": definition.key.encode(),
        "value": definition.model_dump_json(exclude_none=True).encode(),
        "headers": envelope_headers(DEFINITION_TYPE, str(uuid7()), definition.key, datetime.now(UTC), source=source),
    }
