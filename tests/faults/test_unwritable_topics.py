"""A client's reply topic that Kafka itself says cannot be written: it is waited for, but not for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from service.contracts.topics import REPLIES_TOPIC
from service.handling import reply_topics
from service.kafka.connection import Kafka
from service.kafka.internals.topic_words import words_on
from service.kafka.provisioning import ensure_topics
from tests.chaos.cluster import Node, a_cluster, servers
from tests.faults.conftest import TASK, TASK_ID
from tests.handling.world import PARTITIONS, QUICK, World, a_world, execution_id, id_owned_by

ALONE: Final[dict[str, Any]] = {"brokers": (3,)}
"""A topic that has no leader when the third broker is gone."""
IN_TWOS: Final[dict[str, Any]] = {"brokers": (2, 3), "min_insync_replicas": "2"}
"""One that has a leader then, which takes nothing."""


@pytest.fixture(scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Node]]:
    async with a_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        await ensure_topics(Kafka(servers(nodes)), PARTITIONS, len(nodes))
        yield nodes


@pytest.fixture(scope="module")
async def world(nodes: list[Node]) -> AsyncIterator[World]:
    async with a_world(servers(nodes)) as world:
        await world.define({"taskId": TASK_ID, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


async def ask(world: World, topic: str) -> tuple[str, tuple[int, int]]:
    """An execution whose reply is to go to this topic."""
    id_ = id_owned_by(1)
    headers = [("reply_to", topic.encode()), ("correlation_id", f"re:{id_}".encode())]
    return execution_id(id_), await world.command(TASK, id_=id_, headers=headers, partition=1)


async def seen(world: World, topic: str) -> None:
    """Return when all of Kafka says that the topic cannot be written: each broker learns of it in its own time."""
    times = 0
    async with asyncio.timeout(30):
        while times < 10:
            await asyncio.sleep(0.1)
            times = times + 1 if topic in await words_on(world.reader, [topic]) else 0


async def test_a_topic_that_comes_back_is_waited_for(world: World, nodes: list[Node]) -> None:
    """Even one that the transaction has already written to."""
    topic = f"{REPLIES_TOPIC}.back"
    await world.create_topic(topic, **IN_TWOS)
    async with world.handler() as running:
        await running.all_open()
        await nodes[2].kill()
        execution, _ = await ask(world, topic)
        await asyncio.sleep(2 * QUICK.reply)  # it is tried in vain, more than once
        assert not await world.events(execution)
        await nodes[2].start()
        await world.settled(60)
    assert len(await world.events(execution)) == 1
    assert len(await world.read_all(topic)) == 1


@pytest.mark.parametrize(
    ("kind", "word"),
    [(ALONE, "no leader"), (IN_TWOS, "1 of 2 replicas in sync")],
    ids=["no leader", "too few replicas"],
)
async def test_one_that_does_not_is_refused_and_holds_nobody_up_any_more(
    world: World, nodes: list[Node], monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any], word: str
) -> None:
    monkeypatch.setattr(reply_topics, "PATIENCE_SECONDS", 7)
    topic = f"{REPLIES_TOPIC}.gone-{len(kind)}"
    await world.create_topic(topic, **kind)
    async with world.handler() as running:
        await running.all_open()
        await nodes[2].kill()
        await seen(world, topic)
        execution, place = await ask(world, topic)
        behind, _ = await ask(world, REPLIES_TOPIC)
        await world.settled(60)
        epochs = {number: owner.epoch for number, owner in running.owners.items()}
        _, again = await ask(world, topic)
        await world.settled()
        assert {number: owner.epoch for number, owner in running.owners.items()} == epochs
    assert not await world.events(execution)
    assert len(await world.events(behind)) == 1
    for refused in (place, again):
        (rejection,) = await world.rejections(refused)
        assert rejection["problem"]["code"] == "invalid_reply_to"
        assert word in rejection["problem"]["detail"]
    await nodes[2].start()
