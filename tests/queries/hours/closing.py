"""A clock that tests set, and hours that are closed by it."""

from collections.abc import Iterable
from datetime import timedelta

from service.contracts.events import Event
from service.contracts.timestamps import Timestamp
from service.projection.rows import event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import QUIET
from service.read_model.clickhouse.second import SecondTables
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import SECOND, T0, life, records
from tests.queries.test_filters import MINUTE

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Clock:
    def __init__(self, now: Timestamp = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()

    def advance(self, by: timedelta) -> None:
        self.now = Timestamp.of(self.now + by)


async def publish(store: ClickHouseStore, events: Iterable[Event]) -> None:
    await store.insert_events([event_row(record) for record in records(events)], "")


async def close(store: ClickHouseStore) -> int:
    hours = 0
    while closed := await store.close_hours():
        hours += closed
    return hours


async def some_closed(store: ClickHouseStore, clock: Clock) -> list[list[Event]]:
    """Executions of eleven hours, all closed."""
    known = [life(number, at=Timestamp.of(T0 + number * 10 * MINUTE)) for number in range(60)]
    await publish(store, (event for events in known for event in events))
    clock.advance(2 * DAY)
    assert await close(store) == 11
    return known


async def second_of(driver: Driver, clock: Clock, lives: Iterable[Iterable[Event]]) -> SecondTables:
    """Full of these."""
    second = SecondTables(driver, clock)
    await second.make()
    await second.insert_events([event_row(record) for events in lives for record in records(events)], "")
    return second


async def is_told(total: int, reader: TaskExecutionQueries, store: ClickHouseStore, clock: Clock) -> None:
    """So many are, before the hours that were opened are counted again, and after."""
    assert (await reader.stats()).total == total
    clock.advance(QUIET + SECOND)
    assert await close(store)
    assert (await reader.stats()).total == total
