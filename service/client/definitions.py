"""Publishes task definitions as the service that owns them does."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from service.contracts import topics
from service.contracts.definitions import DEFINITION_TYPE, TaskDefinition
from service.contracts.envelope import envelope_headers
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import knock

SOURCE: Final = "/task-definitions"
"""The CloudEvents source of definitions that name none."""


async def publish_definitions(
    kafka: Kafka | str, definitions: Sequence[TaskDefinition], *, source: str = SOURCE
) -> None:
    """Write them, in order, to the definitions topic; on return Kafka has stored all of them.

    They can be executed at once: a handler that does not know a definition reads on to the topic's end first.

    Raises:
        KafkaRefusedError: our name, password, token or certificate is not good, or Kafka's is not.
        KafkaError: some may not have been stored; publish them again.
    """
    kafka = Kafka.at(kafka)
    await knock(kafka)
    producer = AIOKafkaProducer(
        **kafka.options(),
        enable_idempotence=True,
        acks="all",
        max_request_size=topics.MAX_RECORD_BYTES,
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
