import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from uuid_utils.compat import uuid7

from service.contracts import topics
from tests.client.published import EventsTopic, an_events_topic
from tests.client.responder import Answer, Responder, Responding, echo


@pytest.fixture
def responding(kafka: str) -> Responding:
    """`async with responding(answer) as responder`: answers every command sent from now on."""

    @asynccontextmanager
    async def run(answer: Answer = echo) -> AsyncIterator[Responder]:
        producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"responder-{uuid7()}")
        consumer = AIOKafkaConsumer(topics.COMMANDS_TOPIC, bootstrap_servers=kafka, group_id=None)
        async with producer, consumer:
            for partition in consumer.assignment():
                await consumer.position(partition)
            responder = Responder(producer)
            listener = asyncio.create_task(responder.listen(consumer, answer))
            try:
                yield responder
            finally:
                listener.cancel()
                (ended,) = await asyncio.gather(listener, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    return run


@pytest.fixture
async def events_topic(kafka: str) -> AsyncIterator[EventsTopic]:
    async with an_events_topic(kafka) as topic:
        yield topic
