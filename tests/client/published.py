"""An events topic of a test's own, and events in it as the write side publishes them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from uuid_utils.compat import uuid7

from service.contracts.events import Event, encode_event
from service.contracts.topics import EVENTS_TOPIC
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from tests.queries.lives import headers

HeaderPairs = Sequence[tuple[str, bytes]]
PARTITIONS = 2


@dataclass
class EventsTopic:
    """Its Kafka has a prefix of its own; `producer` writes to it in transactions."""

    kafka: Kafka
    producer: AIOKafkaProducer

    @property
    def name(self) -> str:
        return self.kafka.topic(EVENTS_TOPIC)

    async def publish(self, events: Iterable[Event], *, abort: bool = False, **more: bytes) -> list[str]:
        """In one transaction; returns their ids."""
        ids = []
        await self.producer.begin_transaction()
        for event in events:
            ids.append(f"{event.execution_id}/{event.sequence}")
            await self._send(event.execution_id, encode_event(event), [*headers(event), *more.items()])
        await (self.producer.abort_transaction() if abort else self.producer.commit_transaction())
        return ids

    async def write(self, value: bytes | None, headers: HeaderPairs) -> None:
        async with self.producer.transaction():
            await self._send("any", value, headers)

    async def _send(self, key: str, value: bytes | None, headers: HeaderPairs) -> None:
        partition = partition_of(key.encode(), PARTITIONS)
        await self.producer.send(self.name, value, key.encode(), partition=partition, headers=[*headers])


@asynccontextmanager
async def an_events_topic(servers: str) -> AsyncIterator[EventsTopic]:
    kafka = Kafka(servers, prefix=f"{uuid7()}.")
    topic = kafka.topic(EVENTS_TOPIC)
    admin = AdminClient({"bootstrap.servers": servers})
    await asyncio.to_thread(admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result, 10)
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic) as producer:
        yield EventsTopic(kafka, producer)
