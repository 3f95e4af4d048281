from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import pytest_asyncio
from clickhouse_connect.driver.client import Client

from service.contracts.events import Event
from service.projection.rows import event_row
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from tests.analyst import open_engine
from tests.engines import ENGINES, empty_tables
from tests.queries.lives import records

AsAnalyst = Callable[[Iterable[Event]], Awaitable[Client]]


@pytest_asyncio.fixture(params=ENGINES)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """Empty tables, of the engine in process and of a server."""
    async with empty_tables(request.param, tmp_path, lambda: request.getfixturevalue("clickhouse_server")) as driver:
        yield driver


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver)


@pytest.fixture
def as_analyst(tmp_path: Path) -> Iterator[AsAnalyst]:
    """Stores the events in an engine of their own; then an analyst looks at them."""
    with ExitStack() as stack:

        async def look(events: Iterable[Event]) -> Client:
            driver = Driver(lambda: open_engine(tmp_path, as_analyst=False))
            await create_schema(driver, migrating=True)
            await ClickHouseStore(driver).insert_events([event_row(record) for record in records(events)], "")
            await driver.close()
            return stack.enter_context(closing(open_engine(tmp_path, as_analyst=True)))

        yield look
