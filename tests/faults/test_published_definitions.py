"""A published version never changes, whatever Kafka forgets and whichever handler comes when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from uuid_utils.compat import uuid7

from service.contracts.commands import ExecuteTask
from service.contracts.definitions import definition_key
from service.contracts.topics import DEFINITIONS_TOPIC, PUBLISHED_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.handling import definitions_table, published_log
from service.handling.definitions_table import DefinitionsTable
from service.kafka.connection import Kafka
from service.kafka.internals.fetching import bound_fetching
from service.kafka.provisioning import ensure_topics
from service.kafka.records import Record
from tests.handling.world import PARTITIONS, World, a_world, body, eventually, execution_id, fetch, id_owned_by

EAGER = {"segment.ms": "50", "min.cleanable.dirty.ratio": "0.0001", "max.compaction.lag.ms": "100"}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """On a broker of its own, which compacts definitions as soon as it can."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        async with a_world(broker.bootstrap_servers) as world:
            for kind, name, changes in (
                (ConfigResource.Type.BROKER, "1", {"log.cleaner.backoff.ms": "100"}),
                (ConfigResource.Type.TOPIC, DEFINITIONS_TOPIC, EAGER),
            ):
                entries = [
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in changes.items()
                ]
                resource = ConfigResource(kind, name, incremental_configs=entries)
                (done,) = world.admin.incremental_alter_configs([resource]).values()
                await asyncio.to_thread(done.result, 10)
            bound_fetching()
            yield world


@pytest.fixture
def task_id() -> str:
    return f"published:{uuid7()}"


def definition(task_id: str, default: int, **more: Any) -> dict[str, Any]:
    variable = {"name": "x", "type": "number", "required": False, "defaultValue": default}
    return {"taskId": task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": [variable],
            **more}  # fmt: skip


async def records_of(world: World, topic: str, task_id: str) -> list[Record]:
    """What the topic has of this version."""
    tp = TopicPartition(topic, 0)
    end, offset, found = (await world.reader.end_offsets([tp]))[tp], 0, list[Record]()
    while offset < end:  # a fetch gives one segment at most
        records, offset = await fetch(world.reader, tp, offset)
        found += records
    key = definition_key(task_id, "1.0.0").encode()
    return [record for record in found if record.key == key]


async def compacted(world: World, task_id: str) -> None:
    """Return once the topic has one record of this version only."""
    async with asyncio.timeout(90):
        while len(await records_of(world, DEFINITIONS_TOPIC, task_id)) > 1:
            await world.write(None, topic=DEFINITIONS_TOPIC, key=b"rolls the segment")
            await asyncio.sleep(0.2)


async def recorded(world: World, task_id: str) -> list[Record]:
    """What the log has of this version."""
    return await records_of(world, PUBLISHED_TOPIC, task_id)


@asynccontextmanager
async def a_table(world: World) -> AsyncIterator[DefinitionsTable]:
    """What a handler that has started knows."""
    table = DefinitionsTable(world.kafka)
    await table.start()
    running = asyncio.create_task(table.run())
    try:
        yield table
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await table.stop()


def default(table: DefinitionsTable, task_id: str) -> Any:
    found = table.get(task_id, "1.0.0")
    return None if found is None else found.source.input_variables[0].default_value


async def executed(world: World, task_id: str) -> Any:
    """The inputs that an execution resolves to now."""
    id_ = id_owned_by(1)
    await world.command(ExecuteTask(task_id=task_id, task_version="1.0.0", inputs={}), id_=id_, partition=1)
    await world.settled()
    return [body(record)["resolvedInputs"] for record in await world.events(execution_id(id_))]


async def test_the_first_one_counts_after_compaction_and_a_restart(world: World, task_id: str) -> None:
    async with world.handler():
        await world.define(definition(task_id, 1))
        assert await executed(world, task_id) == [{"x": 1}]
    await world.define(definition(task_id, 2))
    await compacted(world, task_id)
    async with world.handler():
        assert await executed(world, task_id) == [{"x": 1}]
        await world.write(None, topic=DEFINITIONS_TOPIC, key=definition_key(task_id, "1.0.0").encode())
        assert await executed(world, task_id) == []
    await world.define(definition(task_id, 3))
    async with world.handler():
        assert await executed(world, task_id) == [{"x": 1}]
    assert len(await recorded(world, task_id)) == 1


async def test_what_is_on_the_topic_at_the_first_start_counts_as_first(world: World, task_id: str) -> None:
    await world.define(definition(task_id, 1), definition(task_id, 2))
    assert await recorded(world, task_id) == []
    async with world.handler():
        assert len(await recorded(world, task_id)) == 1
        assert await executed(world, task_id) == [{"x": 1}]


async def test_what_nobody_executes_is_recorded_as_well(world: World, task_id: str) -> None:
    async with a_table(world):
        await world.define(definition(task_id, 1))
        async with asyncio.timeout(10):
            while not await recorded(world, task_id):
                await asyncio.sleep(0.01)


async def test_of_what_two_handlers_found_first_the_log_chooses_one(
    world: World, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read the first record and is about to write it; the other one starts when compaction has taken it."""
    about_to, released = asyncio.Event(), asyncio.Event()

    async def held(kafka: Kafka, unrecorded: Any) -> None:
        unrecorded = list(unrecorded)
        about_to.set()
        await released.wait()
        await published_log.write_published(kafka, unrecorded)

    async with a_table(world) as early:
        await early.catch_up()
        monkeypatch.setattr(definitions_table, "write_published", held)
        await world.define(definition(task_id, 1))
        await asyncio.wait_for(about_to.wait(), 10)
        monkeypatch.undo()
        await world.define(definition(task_id, 2))
        await compacted(world, task_id)
        assert default(early, task_id) is None, "nothing is used before it is in the log"
        async with a_table(world) as late:
            await late.catch_up()
            assert default(late, task_id) == 2
            released.set()
            await early.catch_up()
            await late.catch_up()
            assert (default(early, task_id), default(late, task_id)) == (2, 2)
    assert len(await recorded(world, task_id)) == 2
    async with a_table(world) as later:
        await later.catch_up()
        assert default(later, task_id) == 2


async def test_many_handlers_that_see_it_at_once_agree(
    world: World, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, write_published = 0, definitions_table.write_published

    async def counted(*arguments: Any) -> None:
        nonlocal writing
        writing += 1
        try:
            await write_published(*arguments)
        finally:
            writing -= 1

    monkeypatch.setattr(definitions_table, "write_published", counted)
    async with a_table(world) as one, a_table(world) as two, a_table(world) as three:
        tables = (one, two, three)
        await world.define(definition(task_id, 1))
        await asyncio.gather(*(table.catch_up() for table in tables))
        await world.define(definition(task_id, 2), definition(task_id, 3, status="DRAFT"))
        await asyncio.gather(*(table.catch_up() for table in tables))
        assert [default(table, task_id) for table in tables] == [1, 1, 1]
        await eventually(lambda: writing == 0, "nobody writes any more")
        copies = await recorded(world, task_id)
        assert 1 <= len(copies) <= len(tables)
        async with a_table(world) as later:
            await later.catch_up()
            assert len(await recorded(world, task_id)) == len(copies), "who knows it writes it no more"


async def test_while_the_log_cannot_be_written_nothing_is_executed_and_nothing_is_lost(
    world: World, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    async def failing(_kafka: Kafka, _unrecorded: Any) -> None:
        nonlocal failures
        failures += 1
        if failures > 3:
            monkeypatch.undo()
        raise KafkaConnectionError("planted")

    async with world.handler():
        monkeypatch.setattr(definitions_table, "write_published", failing)
        await world.define(definition(task_id, 1))
        assert await executed(world, task_id) == [{"x": 1}]
    assert failures == 4


async def test_a_write_whose_answer_was_lost_is_not_repeated(
    world: World, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(kafka: Kafka, unrecorded: Any) -> None:
        monkeypatch.undo()
        await published_log.write_published(kafka, unrecorded)
        raise KafkaConnectionError("planted")

    async with a_table(world) as table:
        await table.catch_up()
        monkeypatch.setattr(definitions_table, "write_published", unanswered)
        await world.define(definition(task_id, 1))
        with suppress(KafkaConnectionError):  # nobody may have waited when it failed
            await table.catch_up()
        async with asyncio.timeout(10):
            while default(table, task_id) != 1:
                await asyncio.sleep(0.01)
    assert len(await recorded(world, task_id)) == 1


async def test_as_large_as_a_record_may_be_it_is_recorded(world: World, task_id: str) -> None:
    large = definition(task_id, 1, comment="x" * 4_190_000)
    await world.write(bytes(str(large).replace("'", '"').replace("False", "false"), "ascii"),
                      topic=DEFINITIONS_TOPIC, key=definition_key(task_id, "1.0.0").encode())  # fmt: skip
    async with a_table(world) as table:
        await table.catch_up()
        assert default(table, task_id) == 1
