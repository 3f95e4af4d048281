"""A handler says which partitions it has open, and why others are not; a client's open transaction is seen."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import REGISTRY

from service.contracts.topics import COMMANDS_TOPIC
from service.handling import opened, partition
from service.handling.rebalancing import PartitionGroup
from tests.handling.world import PARTITIONS, Running, World, eventually

ALL = ", ".join(map(str, range(PARTITIONS)))


def held(number: int) -> float:
    return REGISTRY.get_sample_value("taskexec_commands_held_seconds", {"partition": str(number)}) or 0.0


async def test_it_is_ready_when_all_partitions_are_open(running: Running) -> None:
    assert running.group.readiness() == (True, f"{PARTITIONS} of {PARTITIONS} partitions open: {ALL}")


def test_before_it_was_given_partitions_it_is_not_ready() -> None:
    group = PartitionGroup(None)  # type: ignore[arg-type]  # it asks for nothing
    assert group.readiness() == (False, "no partitions yet: joining the group of the handlers")


async def test_it_says_which_partition_is_closed_and_after_which_error(
    world: World, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenError(Exception):
        pass

    async def broken(*_: object) -> None:
        raise BrokenError

    owner = running.owners[2]
    monkeypatch.setattr(opened, "start_producer", broken)
    owner.fail(BrokenError())
    await eventually(lambda: not owner.is_open, "it is closed")
    await eventually(lambda: "BrokenError()" in running.group.readiness().detail, "the error is told")
    ready, detail = running.group.readiness()
    assert not ready
    assert detail.startswith(f"3 of {PARTITIONS} partitions open: 0, 1, 3; 2 opening for ")
    monkeypatch.undo()
    await running.all_open()
    assert running.group.readiness().ready
    assert world.servers


async def test_a_transaction_that_a_client_leaves_open_is_seen(
    world: World, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands behind it wait until it ends; the broker ends it after the client's time-out."""
    monkeypatch.setattr(partition, "PATIENCE_SECONDS", 0.1)
    client = AIOKafkaProducer(
        bootstrap_servers=world.servers, transactional_id="a-client", transaction_timeout_ms=60_000
    )
    await client.start()
    try:
        await client.begin_transaction()
        await client.send_and_wait(COMMANDS_TOPIC, b"{oops", partition=3)
        behind = await world.write(b"{oops", partition=3)
        await eventually(lambda: held(3) > 0, "the metric tells")
        await eventually(lambda: not running.group.readiness().ready, "it is not ready")
        detail = running.group.readiness().detail
        assert f"3 of {PARTITIONS} partitions open: 0, 1, 2; 3 held for " in detail
        assert "a transaction that a client has open" in detail
        await client.commit_transaction()
    finally:
        await client.stop()
    await world.settled()
    assert len(await world.rejections(behind)) == 1
    await eventually(lambda: running.group.readiness().ready and held(3) == 0, "it is ready again")


async def test_the_broker_lets_no_client_hold_commands_for_longer_than_a_minute(world: World) -> None:
    client = AIOKafkaProducer(bootstrap_servers=world.servers, transactional_id="greedy", transaction_timeout_ms=60_001)
    try:
        with pytest.raises(KafkaError, match="InvalidTransactionTimeout"):
            await asyncio.wait_for(client.start(), 20)
    finally:
        await client.stop()
