"""The broker goes away and comes back; the handler waits, says so, and loses nothing."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from service.contracts.topics import COMMANDS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.handling.partition import PartitionOwner
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.handling.world import PARTITIONS, World, a_world, eventually


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    """A broker of this module's own, to be killed."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("outages"), port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        yield broker


@pytest.fixture(scope="module")
async def world(broker: EmbeddedBroker) -> AsyncIterator[World]:
    async with a_world(broker.bootstrap_servers) as world:
        await world.define({"taskId": "faults:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


async def test_a_broker_that_dies_and_comes_back_loses_and_doubles_nothing(
    world: World, broker: EmbeddedBroker, producers: Any, write_batch: Any
) -> None:
    """A transaction is open when it dies. One whose commit has begun can hang for ever (KAFKA-20734)."""
    committing, dead = asyncio.Event(), asyncio.Event()

    async def hold(number: int, producer: AIOKafkaProducer) -> None:
        commit = producer.commit_transaction

        async def held() -> None:
            committing.set()
            await dead.wait()
            await commit()

        if number == 1 and len(producers.of(number)) == 1:
            producer.commit_transaction = held

    producers.prepare = hold
    async with world.handler() as running:
        await running.all_open()
        batches = [await write_batch(number) for number in (2, 3)]
        await world.settled()
        batches.append(await write_batch(1))
        await asyncio.wait_for(committing.wait(), 10)
        await broker.kill()
        dead.set()
        await broker.start()
        batches += [await write_batch(number) for number in range(PARTITIONS)]
        for batch in batches:
            await batch.assert_exactly_once()
        assert not running.task.done()


async def test_a_handler_stops_in_time_while_the_broker_is_down(world: World, broker: EmbeddedBroker) -> None:
    async with asyncio.timeout(30), world.handler() as running:
        await running.all_open()
        await broker.kill()
    await broker.start()


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

    discard = PartitionOwner._discard

    async def broken(owner: PartitionOwner) -> None:
        await discard(owner)
        raise RuntimeError("injected")

    with pytest.raises(RuntimeError, match="injected"):
        async with world.handler() as running:
            await running.all_open()
            with monkeypatch.context() as patch:
                patch.setattr(PartitionOwner, "_discard", broken)
                running.owners[0].fail(KafkaError("injected"))
                await asyncio.wait_for(running.task, 10)


async def test_a_rebalance_while_it_stops_opens_nothing(world: World) -> None:
    """Nobody would close what is opened then."""
    async with world.handler() as running:
        await running.all_open()
        stopping = asyncio.create_task(running.group.close())
        await eventually(lambda: not running.owners, "it gives its partitions up")
        await running.group.on_partitions_assigned(
            [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]
        )
        assert not running.owners
        await stopping
