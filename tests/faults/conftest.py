"""One broker for all tests of a module; each test runs handlers of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from service.contracts.commands import ExecuteTask
from service.contracts.topics import COMMANDS_TOPIC
from service.handling import opened
from service.handling.producer import start_producer
from service.kafka.connection import Kafka
from tests.handling.world import World, a_world, execution_id, header, id_owned_by

TASK_ID = "faults:task"
TASK = ExecuteTask(task_id=TASK_ID, task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def world(kafka: str) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        await world.define({"taskId": TASK_ID, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


@dataclass
class Producers:
    """Every transactional producer that was started, by transactional id; `prepare` may plant a fault in a new one."""

    started: dict[str, list[AIOKafkaProducer]] = field(default_factory=dict)
    prepare: Callable[[int, AIOKafkaProducer], Awaitable[None]] | None = None

    def of(self, number: int) -> list[AIOKafkaProducer]:
        """Those of one partition, in order."""
        return next((made for name, made in self.started.items() if name.endswith(f".{number}")), [])

    async def start(self, kafka: Kafka, transactional_id: str, timeouts: Any) -> AIOKafkaProducer:
        """As the handler starts one."""
        producer = await start_producer(kafka, transactional_id, timeouts)
        self.started.setdefault(transactional_id, []).append(producer)
        if self.prepare is not None:
            await self.prepare(int(transactional_id.rpartition(".")[2]), producer)
        return producer


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> Producers:
    producers = Producers()
    monkeypatch.setattr(opened, "start_producer", producers.start)
    return producers


@dataclass(frozen=True)
class Batch:
    """Commands on one partition that make every kind of record: an event, a reply, a rejection, a forward."""

    world: World
    executed: str
    forwarded: str
    poison: tuple[int, int]

    @classmethod
    async def write(cls, world: World, number: int) -> "Batch":
        """Write them to this partition."""
        executed, forwarded = id_owned_by(number), id_owned_by((number + 1) % 4)
        await world.command(TASK, id_=executed, reply=True, partition=number)
        await world.command(TASK, id_=forwarded, partition=number)
        return cls(world, executed, forwarded, await world.write(b"{oops", partition=number))

    async def assert_exactly_once(self) -> None:
        """Each had its effect, and no effect is there twice."""
        await self.world.settled()
        assert len(await self.world.events(execution_id(self.executed))) == 1
        assert len(await self.world.replies(self.executed)) == 1
        assert len(await self.world.events(execution_id(self.forwarded))) == 1
        commands = await self.world.read(COMMANDS_TOPIC)
        assert len([record for record in commands if header(record, "ce_id") == self.forwarded]) == 2
        assert len(await self.world.rejections(self.poison)) == 1


WriteBatch = Callable[[int], Awaitable[Batch]]


@pytest.fixture
def write_batch(world: World) -> WriteBatch:
    return lambda number: Batch.write(world, number)
