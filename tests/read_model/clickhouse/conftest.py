from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from service.read_model.clickhouse.driver import ConnectedClickHouse, connect
from service.read_model.clickhouse.schema import create_schema


@pytest_asyncio.fixture
async def clickhouse(tmp_path: Path) -> AsyncIterator[ConnectedClickHouse]:
    """A real engine with empty tables. A process can hold one at a time: so each test opens its own, and closes it."""
    port = connect(f"chdb://{tmp_path}/clickhouse")
    await create_schema(port)
    yield port
    await port.close()
