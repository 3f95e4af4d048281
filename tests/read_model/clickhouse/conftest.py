from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    """A real engine with empty tables. A process can hold one at a time: so each test opens its own, and closes it."""
    driver = connect(f"chdb://{tmp_path}/clickhouse")
    await create_schema(driver, migrating=True)
    yield driver
    await driver.close()


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver)
