"""Reads what Kafka has of task definitions, as the handlers do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import UnknownTopicOrPartitionError

from service.contracts.topics import DEFINITIONS_TOPIC, PUBLISHED_TOPIC
from service.definitions.versions import Versions
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import knock
from service.kafka.internals.topic_words import words_on


class DefinitionsReader:
    """Has read both topics, as far as `read_on` has been called."""

    def __init__(self, kafka: Kafka, consumer: AIOKafkaConsumer) -> None:
        self.versions = Versions()
        self._published = kafka.topic(PUBLISHED_TOPIC)
        self._consumer = consumer

    async def read_on(self) -> None:
        """Read to the topics' ends as of now.

        Raises:
            KafkaError: Kafka does not answer.
        """
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            fetched: dict[Any, Any] = await self._consumer.getmany(timeout_ms=500)
            for tp, records in fetched.items():
                take = self.versions.take_published if tp.topic == self._published else self.versions.take
                for record in records:
                    take(record)
                    await asyncio.sleep(0)  # a large one takes a third of a second: everything else has its turn


@asynccontextmanager
async def reading_definitions(kafka: Kafka) -> AsyncIterator[DefinitionsReader]:
    """Read on while the context is open; nothing has been read when it opens.

    Raises:
        KafkaRefusedError: our name, password, token or certificate is not good, or Kafka's is not.
        KafkaError: Kafka does not answer, or has no definitions topic.
    """
    await knock(kafka)
    consumer = AIOKafkaConsumer(
        *await _present_topics(kafka),
        **kafka.options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        yield DefinitionsReader(kafka, consumer)
    finally:
        await consumer.stop()


async def _present_topics(kafka: Kafka) -> list[str]:
    """Handlers of earlier versions have no log."""
    definitions, published = kafka.topic(DEFINITIONS_TOPIC), kafka.topic(PUBLISHED_TOPIC)
    consumer = AIOKafkaConsumer(**kafka.options())
    try:
        await consumer.start()
        words = await words_on(consumer, [definitions, published])
    finally:
        await consumer.stop()
    present = [name for name in (definitions, published) if name not in words or words[name].passes]
    if definitions not in present:
        raise UnknownTopicOrPartitionError(f"{definitions}: {words[definitions].flaw}")
    return present
