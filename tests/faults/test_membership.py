"""A handler goes on with its group while partitions are opened slowly."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from service.contracts.topics import COMMANDS_TOPIC
from service.handling import opened
from service.handling.producer import start_producer
from service.handling.timeouts import Timeouts
from service.kafka.connection import Kafka
from service.kafka.internals.membership import is_member
from tests.handling.world import PARTITIONS, World, eventually

ALL = [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]


async def test_the_callback_opens_nothing_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka sends no heartbeat during it: a slow opening would cost the membership."""
    release = asyncio.Event()

    async def slow(kafka: Kafka, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
        await release.wait()
        return await start_producer(kafka, transactional_id, timeouts)

    monkeypatch.setattr(opened, "start_producer", slow)
    async with world.handler() as running:
        await eventually(lambda: len(running.owners) == PARTITIONS, "the partitions are assigned")
        async with asyncio.timeout(20):
            await running.group.on_partitions_revoked(ALL)
            await running.group.on_partitions_assigned(ALL)
            consumer = running.group._consumer
            assert consumer is not None
            assert await is_member(consumer)
        assert not any(owner.is_open for owner in running.owners.values())
        release.set()
        await running.all_open()
