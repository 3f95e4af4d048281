"""A reply topic is its client's: however it is configured, the commands end, and nobody else waits for long."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask
from service.contracts.topics import REPLIES_TOPIC
from service.handling import reply_topics
from tests.handling.world import HeaderPairs, Running, World, execution_id, id_owned_by

pytestmark = pytest.mark.usefixtures("running", "definition")

TASK = ExecuteTask(task_id="reply-topics:task", task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def definition(world: World, running: Running) -> None:
    assert running.owners
    await world.define({"taskId": "reply-topics:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})


@pytest.fixture
async def topic(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reply topic of a client that takes no record without a key."""
    monkeypatch.setattr(reply_topics, "_RETRY_SECONDS", 0)
    name = f"{REPLIES_TOPIC}.{uuid7()}"
    await world.create_topic(name, cleanup_policy="compact")
    return name


async def ask(world: World, *topics: str) -> dict[str, tuple[str, tuple[int, int]]]:
    """Ask for a reply to each of these, without a correlation id, and then for one to our own topic."""
    asked = {}
    for topic in topics:
        headers: HeaderPairs = [("reply_to", topic.encode())]
        asked[topic] = (id_ := id_owned_by(1)), await world.command(TASK, id_=id_, headers=headers, partition=1)
    asked[REPLIES_TOPIC] = (id_ := id_owned_by(1)), await world.command(TASK, id_=id_, partition=1, reply=True)
    await world.settled()
    return asked


async def only_the_last_was_accepted(world: World, asked: dict[str, tuple[str, tuple[int, int]]]) -> None:
    own, _ = asked.pop(REPLIES_TOPIC)
    assert len(await world.events(execution_id(own))) == 1
    assert [reply["outcome"] for reply in await world.replies(own)] == ["accepted"]
    for id_, place in asked.values():
        assert [item["problem"]["code"] for item in await world.rejections(place)] == ["invalid_reply_to"]
        assert not await world.events(execution_id(id_))


async def test_a_compacted_topic_takes_no_reply_without_a_key(world: World, topic: str) -> None:
    await only_the_last_was_accepted(world, await ask(world, topic))


async def test_a_topic_that_takes_replies_never_is_given_up_after_the_second_time(
    world: World, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose partition has no leader: nothing is refused, nothing is taken."""
    calls = 0
    partitions_for: Any = AIOKafkaProducer.partitions_for

    async def stalled(producer: AIOKafkaProducer, name: str) -> object:
        nonlocal calls
        if name == topic:
            calls += 1
            await asyncio.Event().wait()
        return await partitions_for(producer, name)

    monkeypatch.setattr(AIOKafkaProducer, "partitions_for", stalled)
    await only_the_last_was_accepted(world, await ask(world, topic))
    assert calls == 2
