"""A broker that dies under load is told of in lines that say something: no error is left to the event loop."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.client.commands import CommandClient
from service.contracts.problems import RejectedError
from service.contracts.replies import CommandUnansweredError
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.ports.positions import PartitionPosition
from service.projection.projector import Projector
from tests.faults.conftest import TASK, TASK_ID
from tests.handling.world import PARTITIONS, World, a_world

KILLS = 3
ASKERS = 50


class Store:
    """A projection that keeps nothing but positions."""

    def __init__(self) -> None:
        self.written: list[PartitionPosition] = []

    async def positions(self) -> Sequence[PartitionPosition]:
        return self.written

    async def insert_events(self, *_: object) -> None:
        """It keeps none."""

    async def insert_rejections(self, *_: object) -> None:
        """It keeps none."""

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        self.written += positions


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker of this test's own, to be killed."""
    async with EmbeddedBroker(tmp_path, port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        yield broker


@pytest.fixture
async def world(broker: EmbeddedBroker) -> AsyncIterator[World]:
    async with a_world(broker.bootstrap_servers) as world:
        await world.define({"taskId": TASK_ID, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


async def ask(client: CommandClient) -> None:
    """One command after the other, whatever becomes of them."""
    while True:
        with suppress(CommandUnansweredError, RejectedError):
            await client.submit(TASK, timeout=5)


async def test_a_broker_that_dies_again_and_again_makes_no_noise(
    world: World, broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # as `configure_logs` has it; else what is logged stays in memory
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    async with world.handler() as running, CommandClient(world.servers, "/tests") as client:
        projecting = asyncio.create_task(Projector(Store(), Kafka(world.servers), PARTITIONS).run())
        await running.all_open()
        asking = [asyncio.create_task(ask(client)) for _ in range(ASKERS)]
        for _ in range(KILLS):
            await asyncio.sleep(2)
            await broker.kill()
            await asyncio.sleep(1)
            await broker.start()
        await running.all_open()
        for task in (*asking, projecting):
            task.cancel()
        await asyncio.gather(*asking, projecting, return_exceptions=True)
    gc.collect()
    await asyncio.sleep(0)
    assert not [
        (context["message"], str(context.get("exception")), str(context.get("future") or context.get("task")))
        for context in noise
    ]
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
