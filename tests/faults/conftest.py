"""One broker for all tests of a module; each test runs handlers of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.handling.world import World, a_world


@pytest.fixture(scope="module")
async def world(kafka: str) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        yield world
