"""What is repaired or made anew opens all hours, whenever they are counted."""

from typing import Any

import pytest

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import QUIET
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.hours.closing import DAY, HOUR, Clock, close, is_told, publish, second_of
from tests.queries.lives import SECOND, T0, life
from tests.queries.test_filters import MINUTE


async def test_an_hour_that_a_repair_leaves_without_rows_counts_nothing(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock
) -> None:
    """Between others that have some, days apart."""
    known = [life(number, Status.PENDING, at=Timestamp.of(T0 + 3 * number * DAY)) for number in range(3)]
    await publish(store, (event for events in known for event in events))
    clock.advance(8 * DAY)
    await close(store)
    second = await second_of(driver, clock, [known[0], known[2]])
    await second.repair((await second.compare()).differences)
    await second.remove()
    await is_told(2, reader, store, clock)
    assert await store.check_hours() is None


async def test_hours_that_are_counted_during_a_long_repair_are_opened_again(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = life("one", Status.PENDING), life("two", Status.PENDING, at=Timestamp.of(T0 + 2 * HOUR))
    await publish(store, [*one, *two])
    clock.advance(DAY)
    await close(store)
    second = await second_of(driver, clock, [one, two, life("missing", Status.PENDING)])
    differences = (await second.compare()).differences
    maintain = driver.maintain
    counted: list[int] = []

    async def slow(sql: str, parameters: Any = None) -> None:
        await maintain(sql, parameters)
        if "task_execution_events " in sql and not counted:
            clock.advance(QUIET + SECOND)
            counted.append(await close(store))

    with monkeypatch.context() as patch:
        patch.setattr(driver, "maintain", slow)
        await second.repair(differences)
    await second.remove()
    assert counted == [2]
    await is_told(3, reader, store, clock)


async def test_hours_that_are_counted_while_a_rebuild_is_put_in_place_stay_open(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the projector's clock is fast: an hour that it has just opened is of a moment that has yet to come."""
    known = [life(number, at=Timestamp.of(T0 + number * 10 * MINUTE)) for number in range(24)]
    await publish(store, (event for events in known for event in events))
    clock.advance(DAY)
    behind = Clock(Timestamp.of(clock.now - 5 * SECOND))
    known.append(life("late", at=Timestamp.of(clock.now - HOUR)))
    await publish(store, known[-1])
    second = await second_of(driver, behind, known)
    maintain = driver.maintain
    put: list[int] = []

    async def meanwhile(sql: str, parameters: Any = None) -> None:
        await maintain(sql, parameters)
        if not put:
            put.append(1)
            await second.put_in_place()

    with monkeypatch.context() as patch:
        patch.setattr(driver, "maintain", meanwhile)
        assert await store.close_hours()
    assert put
    assert (await reader.stats()).total == len(known)
