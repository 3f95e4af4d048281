"""The coordinator says who is a member."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalGenerationError, KafkaConnectionError, UnknownMemberIdError

from service.contracts.topics import COMMANDS_TOPIC
from service.kafka.internals.membership import is_member


async def test_a_consumer_in_no_group_is_no_member(kafka: str) -> None:
    async with AIOKafkaConsumer(COMMANDS_TOPIC, bootstrap_servers=kafka) as consumer:
        await consumer.seek_to_end()
        assert not await is_member(consumer)


async def test_the_coordinator_decides(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = AIOKafkaConsumer(COMMANDS_TOPIC, bootstrap_servers=kafka, group_id="members")
    assert not await is_member(consumer)  # it has not joined
    async with consumer:
        while not await is_member(consumer):
            await asyncio.sleep(0.05)
        coordinator: Any = consumer._coordinator
        send, codes = coordinator._client.send, []

        async def recorded(*request: Any, **options: Any) -> Any:
            answer = await send(*request, **options)
            codes.append(answer.error_code)
            return answer

        with monkeypatch.context() as patched:
            patched.setattr(coordinator._client, "send", recorded)
            patched.setattr(coordinator, "generation", coordinator.generation + 1)
            assert not await is_member(consumer)
            patched.setattr(coordinator, "member_id", "nobody")
            assert not await is_member(consumer)
        assert {IllegalGenerationError.errno, UnknownMemberIdError.errno} <= {*codes}
        assert await is_member(consumer)

        async def unreachable(*_: Any, **__: Any) -> None:
            raise KafkaConnectionError("reset")

        with monkeypatch.context() as patched:
            patched.setattr(coordinator._client, "send", unreachable)
            assert not await is_member(consumer)
