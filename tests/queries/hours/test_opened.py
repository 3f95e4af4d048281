"""What comes late opens its hour, and nobody goes by what was closed before."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from service.contracts.events import TaskExecutionProgressed
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import closed_hours
from service.read_model.clickhouse.closed_hours import ClosedHours
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import GRACE, LATE, QUIET, HourKeeper
from service.read_model.clickhouse.hours import CHANGED
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.hours.closing import DAY, HOUR, Clock, close, is_told, publish, second_of, some_closed
from tests.queries.lives import SECOND, T0, asked, life
from tests.queries.test_filters import MINUTE


async def test_a_late_event_opens_its_hour_until_it_is_quiet(
    store: ClickHouseStore, reader: TaskExecutionQueries, clock: Clock
) -> None:
    await some_closed(store, clock)
    assert (await reader.stats()).total == 60
    await publish(store, life("late", Status.RUNNING, at=Timestamp.of(T0 + 3 * HOUR)))
    found = await reader.stats()
    assert (found.running, found.pending, found.total) == (1, 0, 61)
    assert await close(store) == 0
    clock.advance(QUIET)
    assert await close(store)
    assert (await reader.stats()).running == 1


@pytest.mark.parametrize("asked_before", [True, False])
async def test_who_reads_while_an_hour_is_opened_reads_again(
    store: ClickHouseStore, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, asked_before: bool
) -> None:
    """The late row is stored after it was asked which hours are closed, and before the rows are read."""
    await some_closed(store, clock)
    reading = ClickHouseStore(driver, clock=clock)
    await reading.counts(asked(task_id=None if asked_before else "no:task"))
    query, asked_for = driver.query, []

    async def query_after_late_row(sql: str, parameters: Any = None) -> Any:
        if "task_execution_transitions FINAL" in sql:
            asked_for.append(sql)
            if len(asked_for) == 1:
                late = life("late", Status.RUNNING, at=Timestamp.of(T0 + 3 * HOUR))
                late[1] = replace(late[1], started_at=clock.now, occurred_at=clock.now)
                await publish(store, late)
        return await query(sql, parameters)

    monkeypatch.setattr(driver, "query", query_after_late_row)
    for _ in range(2):
        counts = (await reading.counts(asked()))[""]
        assert (counts[Status.PENDING], counts[Status.RUNNING]) == (0, 1)
    assert len(asked_for) == 3


async def _late(store: ClickHouseStore, clock: Clock) -> int:
    for hour in (5, 3):  # the second one opens hours again
        await publish(store, life(("late", hour), at=Timestamp.of(T0 + hour * HOUR)))
    return 62


async def _dropped(store: ClickHouseStore, clock: Clock) -> int:
    return 60 - await store.drop_finished(int((T0 + 5 * HOUR).timestamp() * 1000))


async def _made_anew(store: ClickHouseStore, clock: Clock) -> int:
    await (await second_of(store._driver, clock, [life("alone")])).put_in_place()
    return 1


@pytest.mark.parametrize("change", [_late, _dropped, _made_anew])
async def test_who_asks_often_is_right_as_soon_as_rows_have_changed(
    store: ClickHouseStore,
    reader: TaskExecutionQueries,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[ClickHouseStore, Clock], Awaitable[int]],
) -> None:
    """Though it does not ask each time whether the hours are still closed."""
    monkeypatch.setattr(closed_hours, "LEASE", timedelta(seconds=0.5))
    await some_closed(store, clock)
    query, asked_for = store._driver.query, Counter[str]()

    async def noted(sql: str, parameters: Any = None) -> Any:
        asked_for[sql] += 1
        return await query(sql, parameters)

    monkeypatch.setattr(store._driver, "query", noted)
    changing, began = asyncio.ensure_future(change(store, clock)), time.monotonic()
    while not changing.done():
        await reader.stats()
    assert (await reader.stats()).total == await changing
    assert 0 < asked_for[CHANGED] <= (time.monotonic() - began) / 0.5 + 2


async def test_an_hour_that_is_opened_while_it_is_counted_stays_open(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(store, life("one"))
    clock.advance(DAY)
    maintain = driver.maintain

    async def late_after(sql: str, parameters: Any = None) -> None:
        await maintain(sql, parameters)
        await HourKeeper(driver, clock).open_all()  # as before rows are stored
        await publish(store, life("late"))

    monkeypatch.setattr(driver, "maintain", late_after)
    await store.close_hours()
    monkeypatch.undo()
    await is_told(2, reader, store, clock)


async def test_two_that_open_hours_at_the_same_moment_open_both(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is second knows nothing of the first."""
    await some_closed(store, clock)
    keeper, hours = HourKeeper(driver, clock), ClosedHours(driver, clock)
    before = await hours.now()
    await keeper.open_for(int((T0 + 2 * HOUR).timestamp() * 1000))
    await keeper._open(before, int((T0 + 5 * HOUR).timestamp() * 1000))
    await driver.command("OPTIMIZE TABLE task_execution_hours_closed FINAL")  # nor does a merge
    assert (await hours.now()).until == int((T0 + 2 * HOUR).timestamp() * 1000) // 3_600_000 * 3_600_000


async def test_late_rows_are_counted_whenever_their_hour_is_closed(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was open when they came, and is counted while they are on their way: of each of two batches."""
    await publish(store, life("one"))
    clock.advance(DAY)
    insert = driver.insert

    async def closed_first(table: str, *given: Any) -> None:
        if table == "task_execution_events_in":
            await close(ClickHouseStore(driver, clock=clock))
        await insert(table, *given)

    monkeypatch.setattr(driver, "insert", closed_first)
    for late in range(2):
        await publish(store, life(("late", late)))
        clock.advance(QUIET / 2)
    monkeypatch.undo()
    assert (await reader.stats()).total == 3
    assert await store.check_hours() is None
    clock.advance(QUIET)
    assert await close(store)
    assert (await reader.stats()).total == 3


async def test_rows_that_are_always_a_little_late_keep_no_hour_open(store: ClickHouseStore, clock: Clock) -> None:
    """As those of a handler whose clock is behind."""
    closed = 0
    for number in range(40):
        clock.advance(10 * MINUTE)
        await publish(store, life(number, at=Timestamp.of(clock.now - LATE - MINUTE)))
        closed += await close(store)
    assert closed == 6


def test_an_insert_has_time_between_being_late_and_its_hour_being_closed() -> None:
    assert timedelta(minutes=10) <= GRACE - LATE


async def test_a_mark_that_is_overtaken_by_a_newer_one_counts(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two projectors, one opens a later hour while the mark of the other is on its way; then hours are counted."""
    known = [life(number, at=Timestamp.of(T0 + number * 10 * MINUTE)) for number in range(24)]
    await publish(store, (event for events in known for event in events))
    clock.advance(10 * HOUR)
    assert await close(store)
    clock.advance(5 * HOUR)
    other = ClickHouseStore(driver, clock=clock)
    await publish(other, life("more", at=Timestamp.of(clock.now - 2 * HOUR)))
    clock.advance(QUIET + SECOND)
    insert = driver.insert
    overtaken: list[str] = []

    async def held_up(table: str, *given: Any) -> None:
        if table == "task_execution_hours_closed" and not overtaken:
            overtaken.append(table)
            clock.advance(timedelta(milliseconds=5))
            await publish(other, life("other", at=Timestamp.of(clock.now - HOUR)))
            assert await close(other)
            assert (await reader.stats()).total == 26
        await insert(table, *given)

    with monkeypatch.context() as patch:
        patch.setattr(driver, "insert", held_up)
        await publish(store, life("late", at=Timestamp.of(T0 + HOUR)))
    assert overtaken
    assert (await reader.stats()).total == 27
    clock.advance(QUIET + HOUR)
    assert await close(store)
    assert (await reader.stats()).total == 27


async def test_a_mark_serves_no_longer_because_another_clock_is_fast(
    store: ClickHouseStore, reader: TaskExecutionQueries, driver: Driver, clock: Clock
) -> None:
    """By eight minutes: its mark is of a moment that has yet to come, and so is the next one."""
    await some_closed(store, clock)
    fast = Clock(Timestamp.of(clock.now + 8 * MINUTE))
    other = ClickHouseStore(driver, clock=fast)
    await publish(other, life("one", at=Timestamp.of(T0 + 5 * HOUR)))
    await publish(store, life("two", at=Timestamp.of(T0 + 3 * HOUR)))
    fast.advance(QUIET + SECOND)
    clock.advance(QUIET + SECOND)
    assert await close(other)
    await publish(store, life("three", at=Timestamp.of(T0 + 4 * HOUR)))
    assert (await reader.stats()).total == 63


async def test_what_changes_no_status_opens_no_hour(store: ClickHouseStore, driver: Driver, clock: Clock) -> None:
    """Else each worker that tells how far it is would keep the hour open in which it began, and all after it."""
    await some_closed(store, clock)
    *_, started = running = life("long", Status.RUNNING, at=Timestamp.of(T0 + 3 * HOUR))
    await publish(store, running)
    clock.advance(QUIET + SECOND)
    await close(store)
    before = await ClosedHours(driver, clock).now()
    names = set(TaskExecutionProgressed.__struct_fields__)
    told = {name: getattr(started, name) for name in started.__struct_fields__ if name in names}
    told |= {"sequence": 3, "occurred_at": clock.now, "previous_status": Status.RUNNING, "progress": 0.5}
    await publish(store, [TaskExecutionProgressed(**told)])
    assert await ClosedHours(driver, clock).now() == before
