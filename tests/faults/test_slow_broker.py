"""A broker that stands still for a while is nobody's fault: clients with reply topics of their own are served late."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from service.contracts.topics import REJECTIONS_TOPIC, REPLIES_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.handling.handler import HandlerOptions
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.faults.conftest import TASK, TASK_ID
from tests.handling.world import PARTITIONS, World, a_world, execution_id, header, id_owned_by

PAUSE_SECONDS = 3.6
OWN = [f"{REPLIES_TOPIC}.own"]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker of this test's own, to stand still."""
    async with EmbeddedBroker(tmp_path, port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        yield broker


@pytest.fixture
async def world(broker: EmbeddedBroker) -> AsyncIterator[World]:
    async with a_world(broker.bootstrap_servers) as world:
        await world.define({"taskId": TASK_ID, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        for topic in OWN:
            await world.create_topic(topic)
        yield world


async def stand_still(broker: EmbeddedBroker) -> None:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    await asyncio.sleep(PAUSE_SECONDS)
    os.kill(broker.pid, signal.SIGCONT)


async def test_whoever_has_a_reply_topic_waits_for_a_slow_broker_and_is_answered(
    world: World, broker: EmbeddedBroker
) -> None:
    """It stands still twice, with a little time between, while commands for every topic are under way."""
    random, asked = Random(7), dict[str, str]()  # noqa: S311 - reproducible, not secret
    stopped = asyncio.Event()

    async def ask() -> None:
        while not stopped.is_set():
            id_ = id_owned_by(random.randrange(PARTITIONS))
            asked[id_] = random.choice(OWN)
            headers = [("reply_to", asked[id_].encode()), ("correlation_id", f"re:{id_}".encode())]
            await world.command(TASK, id_=id_, headers=headers)

    async with world.handler(HandlerOptions(Kafka(world.servers), PARTITIONS)) as running:
        await running.all_open()
        asking = [asyncio.create_task(ask()) for _ in range(3)]
        for _ in range(2):
            await asyncio.sleep(1.5)
            await stand_still(broker)
        await asyncio.sleep(1)
        stopped.set()
        await asyncio.gather(*asking)
        await world.settled(60)
    assert await world.read(REJECTIONS_TOPIC) == []
    assert all([len(await world.events(execution_id(id_))) == 1 for id_ in asked])
    for topic in OWN:
        answered = [header(record, "correlation_id") for record in await world.read_all(topic)]
        assert sorted(map(str, answered)) == sorted(f"re:{id_}" for id_, asked_at in asked.items() if asked_at == topic)
