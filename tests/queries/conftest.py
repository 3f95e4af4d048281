from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from service.contracts.events import Event
from service.projection.rows import EVENT_COLUMNS, event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import ConnectedClickHouse, connect
from service.read_model.clickhouse.schema import create_schema
from tests.queries.lives import records

PARTITIONS = 8

Publish = Callable[[Iterable[Event]], Awaitable[None]]


@pytest_asyncio.fixture
async def clickhouse(tmp_path: Path) -> AsyncIterator[ConnectedClickHouse]:
    """A real engine with empty tables. A process can hold one at a time: so each test opens its own, and closes it."""
    port = connect(f"chdb://{tmp_path}/clickhouse")
    await create_schema(port)
    yield port
    await port.close()


@pytest.fixture
def queries(clickhouse: ConnectedClickHouse) -> TaskExecutionQueries:
    return TaskExecutionQueries(clickhouse, PARTITIONS, patience=0.3)


@pytest.fixture
def publish(clickhouse: ConnectedClickHouse) -> Publish:
    """Write the events as the projector does, in one insert."""

    async def insert(events: Iterable[Event]) -> None:
        await clickhouse.insert("task_execution_events", EVENT_COLUMNS, [event_row(r) for r in records(events)])

    return insert
