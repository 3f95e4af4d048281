"""A handler stays a member of its group, and goes on after an error only as one."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError

from service.contracts.topics import COMMANDS_TOPIC
from service.handling import partition
from service.handling.group import PartitionGroup
from service.handling.producer import start_producer
from service.handling.timeouts import Timeouts
from tests.handling.world import PARTITIONS, QUICK, SECONDS, World, eventually

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
        zombie = PartitionGroup(lambda: consumer, running.group._make_owner, QUICK.revoke)
        zombie._consumer = SimpleNamespace(_coordinator=ours)  # type: ignore[assignment]
        proof = asyncio.create_task(zombie.prove_membership())
        await eventually(lambda: UnknownMemberIdError.errno in answers, "an unknown member is refused")
        ours.member_id, ours.generation = real.member_id, real.generation + 1
        await eventually(lambda: IllegalGenerationError.errno in answers, "a wrong generation is refused")
        assert not proof.done()
        ours.generation = real.generation
        await asyncio.wait_for(proof, SECONDS)


async def test_the_callback_opens_nothing_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka sends no heartbeat during it: a slow opening would cost the membership."""
    release = asyncio.Event()

    async def slow(servers: str, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
        await release.wait()
        return await start_producer(servers, transactional_id, timeouts)

    monkeypatch.setattr(partition, "start_producer", slow)
    async with world.handler() as running:
        await eventually(lambda: len(running.owners) == PARTITIONS, "the partitions are assigned")
        async with asyncio.timeout(2):
            await running.group.on_partitions_revoked(ALL)
            await running.group.on_partitions_assigned(ALL)
            await running.group.prove_membership()
        assert not any(owner.is_open for owner in running.owners.values())
        release.set()
        await running.all_open()
