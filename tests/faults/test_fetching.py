"""What goes wrong between the broker and the owners: nothing is lost, no other partition waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import TopicPartition

from service.contracts.commands import ExecuteTask
from service.contracts.topics import COMMANDS_TOPIC, DEFINITIONS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.handling import metrics, rebalancing
from service.handling.handler import HandlerOptions
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.handling.world import PARTITIONS, QUICK, SECONDS, World, eventually, execution_id, id_owned_by

DEFINITION = {"taskId": "faults:fetching", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
EXECUTE = ExecuteTask(task_id="faults:fetching", task_version="1.0.0", inputs={})


class NotUtf8(str):
    """A header name that no honest client can write."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe" + super().encode()


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A broker of this module's own: what is written here would trip up other readers."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("fetching"), port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        yield broker.bootstrap_servers


@pytest.fixture(scope="module", autouse=True)
async def definition(world: World) -> None:
    await world.define(DEFINITION)


async def write_bad_name(world: World, topic: str, partition: int, value: bytes, *headers: tuple[str, bytes]) -> None:
    """Write a record one of whose header names is not UTF-8, between two others in the same batch."""
    async with AIOKafkaProducer(bootstrap_servers=world.servers) as producer:
        builder = producer.create_batch()
        builder._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 1 << 20)
        for name in ("x", NotUtf8("x"), "x"):
            builder.append(timestamp=None, key=b"k", value=value, headers=[*headers, (name, b"v")])
        await (await producer.send_batch(builder, topic, partition=partition))


async def execute(world: World, partition: int) -> str:
    """Write an ExecuteTask to its owner; returns the executionId."""
    id_ = id_owned_by(partition)
    await world.command(EXECUTE, id_=id_, partition=partition)
    return execution_id(id_)


async def test_a_header_name_that_is_not_utf8_stops_and_loses_nothing(world: World) -> None:
    """aiokafka raises it out of getmany(), over and over, and drops what it had taken from other partitions."""
    before = [await execute(world, partition) for partition in range(4) for _ in range(20)]
    headers = [("ce_specversion", b"1.0"), ("ce_type", b"ExecuteTask"), ("ce_source", b"/tests")]
    ids = [id_owned_by(partition) for partition in (0, 2)]
    for partition, id_ in zip((0, 2), ids, strict=True):
        value = EXECUTE.model_dump_json().encode()
        await write_bad_name(world, COMMANDS_TOPIC, partition, value, *headers, ("ce_id", id_.encode()))
    after = [await execute(world, partition) for partition in range(4)]
    async with world.handler() as running:
        await running.all_open()
        await world.settled()
        later = await execute(world, 0)
        await world.settled()
    for execution in [*before, *(execution_id(id_) for id_ in ids), *after, later]:
        assert len(await world.events(execution)) == 1


async def test_a_header_name_that_is_not_utf8_does_not_hide_definitions(world: World) -> None:
    def definition(name: str) -> bytes:
        return json.dumps({**DEFINITION, "taskId": f"faults:{name}"}).encode()

    async with world.handler() as running:
        await running.all_open()
        await write_bad_name(world, DEFINITIONS_TOPIC, 0, definition("badname"))
        await world.define({**DEFINITION, "taskId": "faults:behind"})
        ids = [id_owned_by(0), id_owned_by(1)]
        for name, id_ in zip(("badname", "behind"), ids, strict=True):
            task = ExecuteTask(task_id=f"faults:{name}", task_version="1.0.0", inputs={})
            await world.command(task, id_=id_)
        await world.settled()
    async with world.handler() as running:
        await running.all_open()
    for id_ in ids:
        assert len(await world.events(execution_id(id_))) == 1


async def test_an_error_out_of_getmany_stalls_and_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastStream would sleep 5 s for all partitions; and what getmany() had fetched, its positions have passed."""
    errors = [KafkaError("injected")] * 5

    class Failing(AIOKafkaConsumer):  # type: ignore[misc]
        async def getmany(self, *partitions: Any, **options: Any) -> Any:
            fetched = await super().getmany(*partitions, **options)
            if fetched and errors:
                raise errors.pop()
            return fetched

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer", Failing)
    async with world.handler() as running:
        await running.all_open()
        executions = [await execute(world, partition) for partition in range(4)]
        await world.settled(seconds=20)
    assert not errors
    for execution in executions:
        assert len(await world.events(execution)) == 1


async def test_commands_that_expired_under_a_running_handler_are_counted_and_passed_over(world: World) -> None:
    lost = metrics.COMMANDS_EXPIRED._value.get()
    async with world.handler() as running:
        await running.all_open()
        owner = running.owners[3]
        consumer = running.group._consumer
        assert consumer is not None
        await execute(world, 3)
        await world.settled()
        consumer.pause(owner.tp)
        expired = await execute(world, 3)
        kept = await execute(world, 3)
        place = TopicPartition(COMMANDS_TOPIC, 3, owner.queue.end + 1)
        await asyncio.to_thread(world.admin.delete_records([place])[place].result)
        epoch = owner.epoch
        consumer.seek(owner.tp, owner.queue.end)  # drops what a fetch under way has brought meanwhile
        consumer.resume(owner.tp)
        await eventually(lambda: owner.epoch != epoch and owner.is_open, "the partition was opened again")
        await world.settled()
    assert metrics.COMMANDS_EXPIRED._value.get() == lost + 1
    assert (len(await world.events(expired)), len(await world.events(kept))) == (0, 1)


async def test_a_backlog_of_one_partition_stops_no_other(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebalancing, "MAX_QUEUED", 100)
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold(number: int, producer: AIOKafkaProducer) -> None:
        begin = producer.begin_transaction

        async def held() -> None:
            holding.set()
            await release.wait()
            await begin()

        if number == 0:
            producer.begin_transaction = held

    producers.prepare = hold
    patient = HandlerOptions(world.kafka, PARTITIONS, timeouts=replace(QUICK, transaction=100))
    async with world.handler(patient) as running:
        await running.all_open()
        places = [await world.write(b"{oops", partition=0)]
        await holding.wait()
        places += [await world.write(b"{oops", partition=0) for _ in range(119)]
        await eventually(running.group._too_much_waits, "too much waits")
        for partition in (1, 2, 3):
            execution = await execute(world, partition)
            async with asyncio.timeout(SECONDS):
                while not await world.events(execution):
                    pass
        release.set()
        await world.settled()
    assert [len(await world.rejections(place)) for place in places] == [1] * 120


async def test_large_records_wait_in_kafka_not_in_memory(
    world: World, producers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebalancing, "MAX_QUEUED_BYTES", 2 << 20)
    release = asyncio.Event()

    async def hold(number: int, producer: AIOKafkaProducer) -> None:
        begin = producer.begin_transaction

        async def held() -> None:
            await release.wait()
            await begin()

        if number == 0:
            producer.begin_transaction = held

    producers.prepare = hold
    value = b"{oops" + b" " * 1_000_000
    async with world.handler() as running:
        await running.all_open()
        places = [await world.write(value, partition=0) for _ in range(30)]
        await eventually(running.group._too_much_waits, "too much waits")
        assert running.owners[0].queue.size < 10 << 20
        release.set()
        await world.settled()
    assert [len(await world.rejections(place)) for place in places] == [1] * 30
