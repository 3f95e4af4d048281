from datetime import timedelta

import pytest

from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import closed_hours
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.hours.closing import Clock


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens hours, waits for it."""
    monkeypatch.setattr(closed_hours, "LEASE", timedelta(seconds=0.05))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(driver: Driver, clock: Clock) -> ClickHouseStore:
    return ClickHouseStore(driver, clock=clock)


@pytest.fixture
def reader(driver: Driver, clock: Clock) -> TaskExecutionQueries:
    """In a process of its own, which knows what was closed a moment ago."""
    return TaskExecutionQueries(ClickHouseStore(driver, clock=clock), 8)
