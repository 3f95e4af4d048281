"""Writes to the log of published definitions."""

import asyncio
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaProducer

from service.contracts.topics import MAX_RECORD_BYTES, PUBLISHED_TOPIC
from service.definitions.versions import Unrecorded
from service.handling.producer import stop_producer
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.internals.single_send import send_once

_TIMEOUTS: Final = Timeouts()


async def write_published(kafka: Kafka, unrecorded: Iterable[Unrecorded]) -> None:
    """Write them to the log. One that is there already does no harm: the first one counts.

    Raises:
        KafkaError: some may not have been stored.
    """
    producer = AIOKafkaProducer(
        **kafka.options(),
        acks="all",
        enable_idempotence=True,
        compression_type="gzip",  # a client's compression may have brought it within Kafka's limit
        max_request_size=2 * MAX_RECORD_BYTES,
        request_timeout_ms=int(_TIMEOUTS.request * 1000),
    )
    place = kafka.partition(PUBLISHED_TOPIC, 0)
    try:
        await producer.start()
        send_once(producer)  # also notes the errors of those that nobody waits for any more
        sent = [
            await producer.send(place.topic, one.value, one.key, partition=place.partition, headers=[*one.headers])
            for one in unrecorded
        ]
        await asyncio.gather(*sent)
    finally:
        await stop_producer(producer, _TIMEOUTS)
