from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from service.contracts.events import Event
from service.projection.rows import event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.engines import ENGINES, empty_tables
from tests.queries.lives import records

PARTITIONS = 8

Publish = Callable[[Iterable[Event]], Awaitable[None]]


@pytest_asyncio.fixture(params=ENGINES)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """Empty tables, of the engine in process and of a server."""
    async with empty_tables(request.param, tmp_path, lambda: request.getfixturevalue("clickhouse_server")) as driver:
        yield driver


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver)


@pytest_asyncio.fixture
async def without_merges(driver: Driver) -> None:
    """Every insert stays a part of its own: what reads must put them together."""
    for table in ("task_execution_events", "task_execution_transitions", "task_executions_open"):
        await driver.command(f"SYSTEM STOP MERGES {table}")


@pytest.fixture
def queries(store: ClickHouseStore) -> TaskExecutionQueries:
    return TaskExecutionQueries(store, PARTITIONS, patience=0.3)


@pytest.fixture
def publish(store: ClickHouseStore) -> Publish:
    """Write the events as the projector does, in one insert."""

    async def insert(events: Iterable[Event]) -> None:
        await store.insert_events([event_row(record) for record in records(events)], "")

    return insert
