"""Statistics are those of a model that knows what was published."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.queries.answers import Percentiles, StatusCounts
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.hours.closing import HOUR, Clock, close, publish
from tests.queries.lives import T0, asked, life
from tests.queries.test_statistics import KEYS, percentiles


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
