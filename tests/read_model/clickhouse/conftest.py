from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.engines import ENGINES, empty_tables


@pytest_asyncio.fixture(params=ENGINES)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """Empty tables, of the engine in process and of a server."""
    async with empty_tables(request.param, tmp_path, lambda: request.getfixturevalue("clickhouse_server")) as driver:
        yield driver


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver)
