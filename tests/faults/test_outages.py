"""The broker goes away and comes back; the handler waits, says so, and loses nothing."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from service.embedded.broker import EmbeddedBroker
from service.handling.partition import PartitionOwner
from service.kafka.provisioning import ensure_topics
from tests.handling.world import PARTITIONS, World, a_world


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    """A broker of this module's own, to be killed."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("outages"), port=0) as broker:
        await ensure_topics(broker.bootstrap_servers, PARTITIONS)
        yield broker


@pytest.fixture(scope="module")
async def world(broker: EmbeddedBroker) -> AsyncIterator[World]:
    async with a_world(broker.bootstrap_servers) as world:
        await world.define({"taskId": "faults:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


async def test_a_broker_that_dies_and_comes_back_loses_and_doubles_nothing(
    world: World, broker: EmbeddedBroker, write_batch: Any
) -> None:
    async with world.handler() as running:
        await running.all_open()
        batches = [await write_batch(number) for number in range(PARTITIONS)]
        await broker.kill()
        await broker.start()
        batches += [await write_batch(number) for number in range(PARTITIONS)]
        for batch in batches:
            await batch.assert_exactly_once()
        assert not running.task.done()


async def test_a_handler_cannot_start_without_a_broker_and_leaves_nothing_behind(
    world: World, broker: EmbeddedBroker
) -> None:
    await broker.kill()
    tasks = asyncio.all_tasks()
    with pytest.raises((KafkaConnectionError, KafkaError)):
        async with asyncio.timeout(10), world.handler():
            pytest.fail("it started")
    assert asyncio.all_tasks() == tasks
    gc.collect()
    await broker.start()
    async with world.handler() as running:
        await running.all_open()


async def test_an_error_that_no_opening_cures_ends_the_handler(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better a process that ends than a partition that nobody handles."""

    async def broken(_: PartitionOwner) -> None:
        raise RuntimeError("injected")

    with pytest.raises(RuntimeError, match="injected"):
        async with world.handler() as running:
            await running.all_open()
            with monkeypatch.context() as patch:
                patch.setattr(PartitionOwner, "_discard", broken)
                running.owners[0].fail(KafkaError("injected"))
                await asyncio.wait_for(running.task, 10)
