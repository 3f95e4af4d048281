"""A handler stays a member of its group, and goes on after an error only as one."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError

from service.contracts.topics import COMMANDS_TOPIC
from service.handling import opened
from service.handling.producer import start_producer
from service.handling.timeouts import Timeouts
from service.kafka.internals.membership import is_member
from tests.handling.world import PARTITIONS, World, eventually

ALL = [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]


async def test_membership_is_proven_by_the_coordinator_only(world: World) -> None:
    """A zombie's own belief counts for nothing."""
    async with world.handler() as running:
        consumer = (await running.all_open()).group._consumer
        assert consumer is not None
        real: Any = consumer._coordinator
        answers: list[int] = []

        async def send(*request: object, **options: object) -> object:
            answer = await real._client.send(*request, **options)
            answers.append(answer.error_code)
            return answer

        ours = SimpleNamespace(group_id=real.group_id, coordinator_id=real.coordinator_id)
        ours.member_id, ours.generation, ours._client = "nobody", 1, SimpleNamespace(send=send)
        zombie = cast("AIOKafkaConsumer", SimpleNamespace(_coordinator=ours))
        assert not await is_member(zombie)
        ours.member_id, ours.generation = real.member_id, real.generation + 1
        assert not await is_member(zombie)
        assert answers == [UnknownMemberIdError.errno, IllegalGenerationError.errno]
        ours.generation = real.generation
        assert await is_member(zombie)


async def test_the_callback_opens_nothing_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka sends no heartbeat during it: a slow opening would cost the membership."""
    release = asyncio.Event()

    async def slow(servers: str, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
        await release.wait()
        return await start_producer(servers, transactional_id, timeouts)

    monkeypatch.setattr(opened, "start_producer", slow)
    async with world.handler() as running:
        await eventually(lambda: len(running.owners) == PARTITIONS, "the partitions are assigned")
        async with asyncio.timeout(2):
            await running.group.on_partitions_revoked(ALL)
            await running.group.on_partitions_assigned(ALL)
            consumer = running.group._consumer
            assert consumer is not None
            assert await is_member(consumer)
        assert not any(owner.is_open for owner in running.owners.values())
        release.set()
        await running.all_open()
