"""What is counted of closed hours is what their rows say, whatever ends the counting, and is read once."""

import asyncio
from typing import Any

import pytest

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.read_model import Grouping
from service.ports.retentions import Retentions
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import QUIET
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.hours.closing import DAY, HOUR, Clock, close, publish, some_closed
from tests.queries.hours.test_model import near
from tests.queries.lives import SECOND, T0, asked, life
from tests.queries.test_filters import MINUTE
from tests.queries.test_statistics import percentiles


async def test_what_closed_hours_add_up_to_is_asked_for_once(
    store: ClickHouseStore, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a time that moves on with the clock, and of executions that are kept for so long; until hours open."""
    await some_closed(store, clock)
    reading = ClickHouseStore(driver, Retentions(executions=60 * HOUR), clock=clock)
    query, asked_for = driver.query, []

    async def noted(sql: str, parameters: Any = None) -> Any:
        asked_for.append("task_execution_hours FINAL" in sql)
        return await query(sql, parameters)

    async def found() -> tuple[int, int, int, int, bool]:
        asked_for.clear()
        lately = {"created_from": Timestamp.of(clock.now - 45 * HOUR)}
        successes, _ = await reading.total(asked(status=["SUCCESS", "RUNNING"]))
        total, _ = await reading.total(asked())
        since, _ = await reading.total(asked(**lately))
        assert (await reading.counts(asked(**lately)))[""][Status.SUCCESS] == since
        by_hour = await reading.counts(asked(), Grouping.HOUR)
        return successes, total, since, sum(counts[Status.SUCCESS] for counts in by_hour.values()), any(asked_for)

    monkeypatch.setattr(driver, "query", noted)
    assert await found() == (60, 60, 42, 60, True)
    clock.advance(29 * SECOND)
    await publish(store, life("now", at=clock.now))
    assert await found() == (61, 61, 42, 61, False)
    clock.advance(29 * SECOND)
    await publish(store, life("late", at=Timestamp.of(T0 + 5 * HOUR)))
    assert await found() == (62, 62, 43, 62, True)
    assert await found() == (62, 62, 43, 62, False)
    clock.advance(QUIET)
    assert await close(store)
    assert await found() == (62, 62, 42, 62, True)
    assert await found() == (62, 62, 42, 62, False)


@pytest.mark.parametrize("steps", range(5))
async def test_whatever_ends_the_counting_answers_stay(  # noqa: PLR0913, PLR0917 - fixtures
    store: ClickHouseStore,
    reader: TaskExecutionQueries,
    driver: Driver,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    """Ended after so many statements, and begun again; also where these hours had been counted before."""
    await some_closed(store, clock)
    await publish(store, life("late", at=Timestamp.of(T0 + HOUR)))
    clock.advance(QUIET)
    left = steps

    class EndedError(Exception):
        pass

    def ending(call: Any) -> Any:
        async def called(*given: Any) -> Any:
            nonlocal left
            if not left:
                raise EndedError
            left -= 1
            return await call(*given)

        return called

    for name in ("query", "maintain", "insert"):
        monkeypatch.setattr(driver, name, ending(getattr(driver, name)))
    with pytest.raises(EndedError):
        await close(store)
    monkeypatch.undo()
    assert (await reader.stats()).success == 61
    assert await close(store)
    found = await reader.stats(times=True)
    assert (found.success, found.total) == (61, 61)
    near(found.run_time, percentiles([2 * SECOND]))


async def test_counts_that_are_wrong_are_found_and_used_no_more(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock
) -> None:
    await some_closed(store, clock)
    assert await store.check_hours() is None
    await driver.maintain("DELETE FROM task_execution_hours WHERE toHour(hour) = 12")
    assert (await reader.stats()).total == 54  # so it is these counts that are read
    assert await store.check_hours() == int((T0 + 2 * HOUR + 30 * MINUTE).timestamp() * 1000)
    assert (await reader.stats()).total == 60
    assert await store.check_hours() is None
    clock.advance(QUIET)
    assert await close(store)
    assert (await reader.stats()).total == 60


async def test_what_is_dropped_is_counted_no_more(driver: Driver, clock: Clock) -> None:
    """Also by those who keep everything; and what began before and ended after is counted."""
    everything = ClickHouseStore(driver, clock=clock)
    store = ClickHouseStore(driver, Retentions(executions=2 * DAY), clock=clock)
    others, kept = TaskExecutionQueries(everything, 8), TaskExecutionQueries(store, 8)
    ends = [Timestamp.of(events[-1].occurred_at) for events in await some_closed(everything, clock)]
    await publish(store, life("long", at=T0, took=12 * HOUR))
    clock.advance(5 * HOUR + 7 * MINUTE)
    assert await close(store)
    assert (await others.stats()).total == 61
    shown = 1 + sum(end >= clock.now - 2 * DAY for end in ends)
    assert shown == 30
    assert ((await kept.stats()).total, (await kept.stats(group_by="hour")).success) == (shown, shown)
    clock.advance(2 * HOUR)
    before = Timestamp.of(clock.now - 2 * DAY - HOUR)
    left = 1 + sum(end >= before for end in ends)
    assert await store.drop_finished(int(before.timestamp() * 1000)) == 61 - left
    assert ((await others.stats()).total, (await others.stats(group_by="taskId")).success) == (left, left)
    assert await store.check_hours() is None
    clock.advance(DAY)
    await publish(store, life("next", at=Timestamp.of(clock.now - 3 * HOUR)))
    clock.advance(QUIET)
    assert await close(store)
    assert await store.drop_finished(int((clock.now - DAY).timestamp() * 1000)) == left
    assert ((await others.stats()).total, (await kept.stats()).total) == (1, 1)
    assert await store.drop_finished(int(clock.now.timestamp() * 1000)) == 1
    (row,) = await driver.query("SELECT toString(min(toDate(hour))) AS first FROM task_execution_hours")
    assert row["first"] == f"{clock.now - 3 * HOUR:%Y-%m-%d}"  # of earlier days, there is nothing left


async def test_two_close_hours_at_the_same_time(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock
) -> None:
    known = [life(number, at=Timestamp.of(T0 + number * 10 * MINUTE)) for number in range(60)]
    await publish(store, (event for events in known for event in events))
    clock.advance(2 * DAY)
    await asyncio.gather(close(store), close(ClickHouseStore(driver, clock=clock)))
    found = await reader.stats(group_by="taskId")
    assert (found.success, found.total) == (60, 60)
    assert await store.check_hours() is None
