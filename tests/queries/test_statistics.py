"""Counts, rates, times and trends against a brute-force model, on many unmerged parts."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.read_model import GroupOrder
from service.queries.answers import Percentiles, StatusCounts, TaskExecutionStats
from service.queries.executions import TaskExecutionQueries
from tests.queries.conftest import Publish
from tests.queries.lives import T0, life
from tests.queries.test_filters import AT, CASES, MINUTE, lives, publish_anyhow

KEYS: dict[str, Callable[[TaskExecution], str]] = {
    "taskId": lambda one: one.task_id,
    "taskVersion": lambda one: one.task_version,
    "createdBy": lambda one: one.metadata.created_by,
    "minute": lambda one: f"{one.metadata.created_at:%Y-%m-%dT%H:%M:00Z}",
    "hour": lambda one: f"{one.metadata.created_at:%Y-%m-%dT%H:00:00Z}",
    "day": lambda one: f"{one.metadata.created_at:%Y-%m-%dT00:00:00Z}",
}


def percentiles(durations: Sequence[timedelta]) -> Percentiles | None:
    """As ClickHouse's quantileExact has them: the value at floor(level * count), counted from 0."""
    if not durations:
        return None
    ms = sorted(duration // timedelta(milliseconds=1) for duration in durations)
    found = {name: ms[min(int(level * len(ms)), len(ms) - 1)] for name, level in LEVELS.items()}
    return Percentiles(**found)


LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def same(found: StatusCounts, wanted: Sequence[TaskExecution]) -> None:
    counts = Counter(one.status for one in wanted)
    assert {status: getattr(found, status.lower()) for status in Status} == {s: counts[s] for s in Status}
    assert found.total == len(wanted)
    ended = counts[Status.SUCCESS] + counts[Status.FAILURE]
    assert found.success_rate == (counts[Status.SUCCESS] / ended if ended else None)
    started = [one for one in wanted if one.started_at]
    assert found.queue_time == percentiles([one.started_at - one.metadata.created_at for one in started])  # type: ignore[operator]
    assert found.run_time == percentiles([one.completed_at - one.started_at for one in started if one.completed_at])  # type: ignore[operator]


@pytest.mark.parametrize("by", KEYS)
async def test_groups_and_all_are_what_a_model_says(
    queries: TaskExecutionQueries, publish: Publish, without_merges: None, by: str
) -> None:
    rng = random.Random(7)  # noqa: S311 - a seeded model
    known = lives(7, 120)
    await publish_anyhow(publish, known, rng)
    everything = [view(events) for events in known]
    for names in ((), ("task_id",), ("tag", "created_from"), ("created_by", "created_to"), ("task_version",)):
        wanted = [one for one in everything if all(CASES[name][1](one) for name in names)]
        given: dict[str, Any] = {name: CASES[name][0] for name in names}
        found = await queries.stats(**given, group_by=by, times=True)
        same(found, wanted)
        assert found.groups is not None
        assert [group.key for group in found.groups] == sorted({KEYS[by](one) for one in wanted})
        for group in found.groups:
            same(group, [one for one in wanted if KEYS[by](one) == group.key])
        assert found.group_count == len(found.groups)
        alone = await queries.stats(**given, times=True)
        assert alone == found.model_copy(update={"groups": None, "group_count": None})
        await assert_some(queries, found, group_by=by, **given)


async def assert_some(queries: TaskExecutionQueries, found: TaskExecutionStats, **given: Any) -> None:
    """Some groups of all that were found: in their order, as they are there, with the counts of all."""
    groups = found.groups or ()
    part = groups[0].key[-3:].upper() if groups else "x"
    for sort, limit, text in product(GroupOrder, (1, 2, 1000), (None, part)):
        some = await queries.stats(**given, times=True, sort=sort, limit=limit, group_text=text)
        failures = {group.key: group.failure if sort == "failure" else 0 for group in groups}
        wanted = [group for group in groups if failures[group.key] or sort != "failure"]
        wanted = [group for group in wanted if text is None or text in group.key.upper()]
        largest = sorted(wanted, key=lambda group: (-(failures[group.key] or group.total), group.key))[:limit]
        assert some.groups == tuple(sorted(largest, key=lambda group: group.key) if sort == "key" else largest)
        assert some.group_count == len(wanted)
        assert some.model_copy(update={"groups": found.groups, "group_count": found.group_count}) == found


async def test_a_trend_is_by_the_hour_of_creation(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(
        event for hours in range(3) for event in life(hours, at=T0 + timedelta(hours=hours), took=5 * 60 * MINUTE)
    )
    found = await queries.stats(group_by="hour", created_from=str(T0 + timedelta(minutes=1)))
    assert [(group.key, group.success) for group in found.groups or ()] == [
        ("2026-03-02T10:00:00Z", 1),
        ("2026-03-02T11:00:00Z", 1),
    ]


async def test_of_very_many_groups_the_largest_are_told(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(
        event for task, count in (("a:a", 1), ("b:b", 3), ("c:c", 2)) for n in range(count)
        for event in life((task, n), task_id=task)
    )  # fmt: skip
    found = await queries.stats(group_by="taskId", limit=2)
    assert ([group.key for group in found.groups or ()], found.total) == (["b:b", "c:c"], 6)


async def test_nothing_is_counted_as_nothing(queries: TaskExecutionQueries) -> None:
    found = await queries.stats(group_by="day", times=True)
    assert (found.total, found.groups, found.success_rate, found.run_time) == (0, (), None, None)


async def test_what_cannot_be_grouped_by_is_refused(queries: TaskExecutionQueries) -> None:
    with pytest.raises(RejectedError) as refused:
        await queries.stats(group_by="week", created_from=f"{AT}!")
    assert refused.value.problem.code is Code.INVALID_REQUEST
    assert {error.pointer for error in refused.value.problem.errors} == {"#/groupBy", "#/createdFrom"}


async def test_the_tasks_that_fail_most_are_the_groups_of_the_statistics(
    queries: TaskExecutionQueries, publish: Publish, without_merges: None
) -> None:
    rng = random.Random(9)  # noqa: S311 - a seeded model
    known = lives(9, 120)
    await publish_anyhow(publish, known, rng)
    for begin in (T0, view(known[60]).metadata.created_at, T0 + timedelta(days=400)):
        for limit in (1, 2, 100):
            wanted = await queries.stats(created_from=begin, group_by="taskId", times=True, sort="failure", limit=limit)
            found = await queries.failing_tasks(Timestamp.of(begin), limit)
            assert found == (wanted.groups, wanted.group_count)
