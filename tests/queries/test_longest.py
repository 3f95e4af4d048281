"""Lists of the longest runs first, against a brute-force model, on many unmerged parts."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.retentions import Retentions
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, asked, execution_id, life
from tests.queries.test_filters import CASES, lives, publish_anyhow


def ran(one: TaskExecution) -> timedelta | None:
    return one.completed_at - one.started_at if one.completed_at and one.started_at else None


def order(items: Sequence[TaskExecution]) -> list[tuple[timedelta, Timestamp]]:
    """Among equals, ClickHouse orders ids in an order of its own."""
    return [(ran(item) or timedelta(-1), item.metadata.created_at) for item in items]


async def read_all(queries: TaskExecutionQueries, size: int, **given: Any) -> tuple[list[TaskExecution], set[int]]:
    """All pages by cursor, and the totals that they said."""
    page = await queries.list(asked(**given, sort="duration", page_size=size))
    items, totals = [*page.items], {page.total}
    while page.next_cursor:
        page = await queries.list(asked(**given, sort="duration", page_size=size, cursor=page.next_cursor))
        items += page.items
        totals.add(page.total)
    return items, totals


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
@pytest.mark.parametrize("kept", [None, T0 + timedelta(minutes=20)])
async def test_with_any_filters_all_that_ran_are_there_once_in_order(
    store: ClickHouseStore, publish: Publish, without_merges: None, kept: Timestamp | None
) -> None:
    rng = random.Random(21)  # noqa: S311 - a seeded model
    known = lives(21, 150)
    await publish_anyhow(publish, known, rng)
    everything = [one for one in map(view, known) if ran(one) is not None]
    if kept:
        everything = [one for one in everything if one.completed_at and one.completed_at >= kept]
        store = ClickHouseStore(store._driver, Retentions(timedelta(days=1)), (kept + timedelta(days=1)).timestamp)
    queries = TaskExecutionQueries(store, PARTITIONS)
    found_any = 0
    for number in range(30):
        names = rng.sample(sorted(CASES), number % 4)
        given = {name: CASES[name][0] for name in names}
        wanted = [one for one in everything if all(CASES[name][1](one) for name in names)]
        items, totals = await read_all(queries, rng.choice((7, 20, 1000)), **given)
        assert totals == {len(wanted)}, given
        assert order(items) == sorted(order(wanted), reverse=True), given
        assert {item.id: item for item in items} == {one.id: one for one in wanted}, given
        counted = await queries.list(asked(**given, sort="duration", page_size=1, counts=True))
        assert counted.total == len(wanted), given
        found_any += len(wanted) > 1
    assert found_any > 10


async def test_pages_by_number_are_those_by_cursor(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish_anyhow(publish, lives(22, 60), random.Random(22))  # noqa: S311 - a seeded model
    by_cursor, (total,) = await read_all(queries, 7)
    by_number: list[TaskExecution] = []
    for number in range(1, -(-total // 7) + 1):
        page = await queries.list(asked(sort="duration", page_number=number, page_size=7))
        assert (page.total, page.page_number) == (total, number)
        by_number += page.items
    assert by_number == by_cursor
    assert len(by_number) == total
    assert (await queries.list(asked(sort="duration", page_number=1000))).items == ()


async def test_what_has_no_duration_is_neither_listed_nor_counted(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(event for status in Status for event in life(status, status))
    await publish(life("never started", Status.STOPPED, started=False))
    page = await queries.list(asked(sort="duration", counts=True))
    assert {item.status for item in page.items} == {"SUCCESS", "FAILURE", "STOPPED"}
    assert (page.total, page.counts and page.counts.running, page.counts and page.counts.stopped) == (3, 0, 1)
    assert (await queries.list(asked(sort="duration", status=["RUNNING"]))).total == 0


async def test_a_cursor_is_stable_while_longer_and_shorter_runs_end(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(event for n in range(10) for event in life(n, at=T0 + n * SECOND, took=(10 + n) * SECOND))
    first = await queries.list(asked(sort="duration", page_size=4))
    await publish([*life("longer", took=3600 * SECOND), *life("same", took=16 * SECOND), *life("short", took=SECOND)])
    second = await queries.list(asked(sort="duration", page_size=100, cursor=first.next_cursor))
    names: list[Any] = [9, 8, 7, 6, "same", 5, 4, 3, 2, 1, 0, "short"]
    assert [item.id for item in first.items + second.items] == [execution_id(name) for name in names]


@pytest.mark.parametrize("sort", ["created", "duration"])
async def test_a_cursor_of_another_order_is_refused(queries: TaskExecutionQueries, publish: Publish, sort: str) -> None:
    await publish(event for n in range(3) for event in life(n))
    other = "created" if sort == "duration" else "duration"
    cursor = (await queries.list(asked(sort=other, page_size=1))).next_cursor
    with pytest.raises(RejectedError, match="Give a cursor with the sort") as refused:
        await queries.list(asked(sort=sort, cursor=cursor))
    assert refused.value.problem.code is Code.INVALID_REQUEST
    assert [error.pointer for error in refused.value.problem.errors] == ["#/cursor"]
