"""One broker and one handler for all tests of a module, which keep apart by the ids of their commands; or stand-ins."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from service.handling import partition
from service.handling.partition import PartitionOwner
from tests.handling.owned import Consumer, Opened
from tests.handling.stand_ins import a_context
from tests.handling.world import Running, World, a_world, eventually


@pytest.fixture(scope="module")
async def world(kafka: str) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        yield world


@pytest.fixture(scope="module")
async def running(world: World) -> AsyncIterator[Running]:
    async with world.handler() as running:
        yield await running.all_open()


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
async def owner(opened: Opened, consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PartitionOwner]:
    async def is_member(_consumer: Any) -> bool:
        return True

    monkeypatch.setattr(partition, "OpenedPartition", lambda *_: opened)
    monkeypatch.setattr(partition, "is_member", is_member)
    monkeypatch.setattr(partition, "_PAUSE", 0)
    made = PartitionOwner(a_context(), cast("Any", consumer), 0, None)
    await eventually(lambda: made.is_open, "it is open")
    yield made
    await made.close()
    assert made._task.done()
