"""One broker and one handler for all tests of a module; they keep apart by the ids of their commands."""

from collections.abc import AsyncIterator

import pytest

from tests.handling.world import Running, World, a_world


@pytest.fixture(scope="module")
async def world(kafka: str) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        yield world


@pytest.fixture(scope="module")
async def running(world: World) -> AsyncIterator[Running]:
    async with world.handler() as running:
        yield await running.all_open()
