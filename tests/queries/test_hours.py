"""What is counted of closed hours is what their rows say: whatever comes late, again, or while hours are counted."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from service.contracts.events import Event, TaskExecutionProgressed
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.read_model import Grouping
from service.ports.retentions import Retentions
from service.projection.rows import event_row
from service.queries.answers import Percentiles, StatusCounts
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import closed_hours
from service.read_model.clickhouse.closed_hours import ClosedHours
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import GRACE, LATE, QUIET, HourKeeper
from service.read_model.clickhouse.hours import CHANGED
from service.read_model.clickhouse.second import SecondTables
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import SECOND, T0, asked, life, records
from tests.queries.test_filters import MINUTE
from tests.queries.test_statistics import KEYS, percentiles

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Clock:
    def __init__(self, now: Timestamp = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()

    def advance(self, by: timedelta) -> None:
        self.now = Timestamp.of(self.now + by)


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


async def publish(store: ClickHouseStore, events: Iterable[Event]) -> None:
    await store.insert_events([event_row(record) for record in records(events)], "")


async def close(store: ClickHouseStore) -> int:
    hours = 0
    while closed := await store.close_hours():
        hours += closed
    return hours


def near(found: Percentiles | None, wanted: Percentiles | None) -> None:
    assert (found is None) == (wanted is None)
    if found and wanted:
        for level, exact in wanted.model_dump().items():
            assert abs(getattr(found, level) - exact) <= max(0.0101 * exact, 1), (found, wanted)


def same(found: StatusCounts, wanted: Sequence[TaskExecution], *, exact: bool = False) -> None:
    counts = Counter(one.status for one in wanted)
    assert {status: getattr(found, status.lower()) for status in Status} == {s: counts[s] for s in Status}
    started = [one for one in wanted if one.started_at]
    queue = percentiles([one.started_at - one.metadata.created_at for one in started])  # type: ignore[operator]
    run = percentiles([one.completed_at - one.started_at for one in started if one.completed_at])  # type: ignore[operator]
    if exact:
        assert (found.queue_time, found.run_time) == (queue, run)
    near(found.queue_time, queue)
    near(found.run_time, run)


def lives(rng: random.Random, count: int, hours: int) -> list[list[Event]]:
    return [
        life(
            (count, number),
            rng.choice([*Status]),
            at=Timestamp.of(T0 + timedelta(seconds=rng.randrange(hours * 3600))),
            task_id=rng.choice(("etl:load", "ml:train")),
            task_version=rng.choice(("1.0.0", "1.1.0")),
            started=rng.random() < 0.5,
            took=timedelta(milliseconds=math.floor(10 ** rng.uniform(0, 7.5))),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_statistics_are_right_at_every_moment(
    store: ClickHouseStore, reader: TaskExecutionQueries, clock: Clock, driver: Driver, seed: int
) -> None:
    """Of a model that knows what was published: events come in time, late, or again; hours are closed in between.

    Some questions are asked again and again: what is remembered of their hours must still be right.
    """
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    known = lives(rng, 150, 30)
    late = {number for number in range(len(known)) if rng.random() < 0.1}
    published = [0] * len(known)
    closed = 0
    asked_before: list[tuple[dict[str, Any], str | None]] = [({}, None)]
    while clock.now < T0 + 40 * HOUR:
        clock.advance(timedelta(minutes=rng.randrange(20, 200)))
        batch: list[Event] = []
        for number, events in enumerate(known):
            behind = timedelta(hours=rng.randrange(20)) if number in late else timedelta()
            while published[number] < len(events) and events[published[number]].occurred_at <= clock.now - behind:
                batch.append(events[published[number]])
                published[number] += 1
        again = [event for events, so_far in zip(known, published, strict=True) for event in events[:so_far]]
        batch += rng.sample(again, len(again) // 10) if rng.random() < 0.2 else []
        await publish(store, batch)
        if rng.random() < 0.7:
            closed += await close(store)
        everything = [view(events[:n]) for events, n in zip(known, published, strict=True) if n]
        given = {name: CASES[name](rng) for name in rng.sample(sorted(CASES), rng.randrange(4))}
        await check(reader, everything, given, rng.choice([None, *KEYS]), exact=rng.random() < 0.3)
        for question in rng.sample(asked_before, min(len(asked_before), 2)):
            await check(reader, everything, *question, exact=False)
        asked_before.append((given, rng.choice([None, *KEYS])))
    assert closed > 20
    (row,) = await driver.query("SELECT sum(count) AS count FROM task_execution_hours FINAL WHERE taskId = ''")
    assert row["count"] > 200


def moment(rng: random.Random) -> str:
    """Perhaps in the same hour as another, perhaps a full hour."""
    return str(T0 + timedelta(minutes=rng.choice((rng.randrange(30 * 60), 7 * 60 + 17, 7 * 60 + 28, 9 * 60 + 30))))


CASES: dict[str, Callable[[random.Random], Any]] = {
    "task_id": lambda rng: rng.choice(("ml:train", "etl:load", "no:task")),
    "task_version": lambda _: "1.1.0",
    "created_from": moment,
    "created_to": moment,
    "tag": lambda _: ["x"],
}


def fits(one: TaskExecution, name: str, value: Any) -> bool:
    match name:
        case "task_id":
            return one.task_id == str(value)
        case "task_version":
            return one.task_version == str(value)
        case "created_from":
            return str(one.metadata.created_at) >= str(value)
        case "created_to":
            return str(one.metadata.created_at) < str(value)
        case _:
            return False  # none has tags


async def check(
    queries: TaskExecutionQueries,
    everything: Sequence[TaskExecution],
    given: dict[str, Any],
    by: str | None,
    *,
    exact: bool,
) -> None:
    wanted = [one for one in everything if all(fits(one, name, value) for name, value in given.items())]
    found = await queries.stats(**given, group_by=by, times=True, exact=exact)
    assert found.times_error == (0 if exact else 0.01)
    same(found, wanted, exact=exact)
    for group in found.groups or ():
        same(group, [one for one in wanted if KEYS[by or ""](one) == group.key], exact=exact)
    worst = await queries.stats(**given, group_by="taskId", times=True, exact=exact, sort="failure", limit=1)
    same(worst, wanted, exact=exact)
    failures = Counter(one.task_id for one in wanted if one.status is Status.FAILURE)
    assert [group.failure for group in worst.groups or ()] == [count for _, count in failures.most_common(1)]
    for group in worst.groups or ():
        same(group, [one for one in wanted if one.task_id == group.key], exact=exact)
    page = await queries.list(asked(**given, status=["FAILURE", "PENDING"], counts=True, page_size=1))
    statuses = Counter(one.status for one in wanted)
    running = await queries.list(asked(**given, status=["RUNNING"], page_size=1))
    assert running.total == statuses[Status.RUNNING]
    assert page.total == statuses[Status.FAILURE] + statuses[Status.PENDING]
    assert page.counts
    assert {status: getattr(page.counts, status.lower()) for status in Status} == {s: statuses[s] for s in Status}


async def some_closed(store: ClickHouseStore, clock: Clock) -> list[list[Event]]:
    """Executions of eleven hours, all closed."""
    known = [life(number, at=Timestamp.of(T0 + number * 10 * MINUTE)) for number in range(60)]
    await publish(store, (event for events in known for event in events))
    clock.advance(2 * DAY)
    assert await close(store) == 11
    return known


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
    query, asked_for = store._driver.query, Counter[bool]()

    async def noted(sql: str, parameters: Any = None) -> Any:
        asked_for[sql == CHANGED] += 1
        return await query(sql, parameters)

    monkeypatch.setattr(store._driver, "query", noted)
    changing = asyncio.ensure_future(change(store, clock))
    while not changing.done():
        await reader.stats()
    assert (await reader.stats()).total == await changing
    assert 0 < asked_for[True] < asked_for[False] / 3


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
    assert (await reader.stats()).total == 2
    clock.advance(QUIET + SECOND)
    assert await close(store)
    assert (await reader.stats()).total == 2


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


def test_an_insert_has_time_between_being_late_and_its_hour_being_closed() -> None:
    assert timedelta(minutes=10) <= GRACE - LATE


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


async def second_of(driver: Driver, clock: Clock, lives: Iterable[Iterable[Event]]) -> SecondTables:
    """Full of these."""
    second = SecondTables(driver, clock)
    await second.make()
    await second.insert_events([event_row(record) for events in lives for record in records(events)], "")
    return second


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
    assert (await reader.stats()).total == 2
    clock.advance(QUIET + SECOND)
    assert await close(store)
    assert (await reader.stats()).total == 2
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
    assert (await reader.stats()).total == 3
    clock.advance(QUIET + SECOND)
    assert await close(store)
    assert (await reader.stats()).total == 3


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
