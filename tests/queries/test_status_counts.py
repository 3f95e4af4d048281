"""The counts by status beside a list, against a brute-force model, on many unmerged parts, and while events come in."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Any

import pytest

from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view
from service.ports.read_model import Counts, ListedExecution
from service.ports.retentions import Retentions
from service.queries.answers import TaskExecutionPage
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import SECOND, T0, asked, life
from tests.queries.test_filters import CASES, lives, publish_anyhow

FILTERS = [
    (), ("task_id",), ("tag", "created_from"), ("created_by", "task_version"), ("started_from",), ("completed_to",),
    ("min_duration", "task_id"), ("text",), ("text", "started_to"),
]  # fmt: skip
WANTED: list[list[Status]] = [[], [Status.PENDING], [Status.RUNNING, Status.FAILURE], [Status.FAILURE, Status.SKIPPED]]


def by_status(page: TaskExecutionPage) -> dict[Status, int]:
    assert page.counts is not None
    return {status: getattr(page.counts, status.lower()) for status in Status}


def fitting(everything: Sequence[TaskExecution], names: Sequence[str]) -> Counter[Status]:
    return Counter(one.status for one in everything if all(CASES[name][1](one) for name in names))


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
@pytest.mark.parametrize("kept", [None, T0 + timedelta(minutes=25)])
async def test_counts_are_of_all_that_fit_whichever_status_is_wanted(
    store: ClickHouseStore, publish: Publish, without_merges: None, kept: Timestamp | None
) -> None:
    """All that are kept: of some, the retention has ended."""
    known = lives(11, 150)
    await publish_anyhow(publish, known, random.Random(11))  # noqa: S311 - a seeded model
    everything = [view(events) for events in known]
    if kept:
        everything = [one for one in everything if one.completed_at is None or one.completed_at >= kept]
        assert len(everything) < len(known)
        store = ClickHouseStore(store._driver, Retentions(timedelta(days=1)), (kept + timedelta(days=1)).timestamp)
    queries = TaskExecutionQueries(store, PARTITIONS)
    for names in FILTERS:
        counts = fitting(everything, names)
        given: dict[str, Any] = {name: CASES[name][0] for name in names}
        for status in WANTED:
            page = await queries.list(asked(**given, status=status, page_size=3, counts=True))
            assert by_status(page) == {each: counts[each] for each in Status}, (names, status)
            assert page.total == sum(counts[each] for each in status or Status), (names, status)
            alone = await queries.list(asked(**given, status=status, page_size=3))
            assert page.model_copy(update={"counts": None}) == alone, (names, status)
    assert sum(len(fitting(everything, names)) > 1 for names in FILTERS) > 6


async def test_what_can_be_of_no_wanted_status_is_counted_in_the_others(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    await publish(event for status in Status for event in life(status, status))
    page = await queries.list(asked(status=["PENDING"], min_duration="1ms", counts=True))
    assert (page.items, page.total) == ((), 0)
    assert {status for status, count in by_status(page).items() if count} == {"SUCCESS", "FAILURE", "STOPPED"}


async def test_nothing_is_counted_unless_it_is_asked_for(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(life("a"))
    assert (await queries.list(asked())).counts is None


class Between:
    """The store, where something happens between the counts and the page."""

    def __init__(self, store: ClickHouseStore, happens: Callable[[], Any]) -> None:
        self._store, self._happens = store, happens
        self._has_happened = asyncio.Event()

    async def total(self, *args: Any, **given: Any) -> tuple[int, Counts | None]:
        before = await self._store.total(*args, **given)
        await self._happens()
        self._has_happened.set()
        return before

    async def page(self, *args: Any, **given: Any) -> Sequence[ListedExecution]:
        await self._has_happened.wait()
        return await self._store.page(*args, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("status", [[], ["FAILURE"], ["RUNNING", "FAILURE"]])
async def test_what_comes_in_before_the_page_is_counted(
    store: ClickHouseStore, publish: Publish, status: list[str]
) -> None:
    await publish(life("old", Status.FAILURE))
    new = [life(n, Status.FAILURE, at=T0 + n * SECOND) for n in range(1, 4)]
    queries = TaskExecutionQueries(Between(store, lambda: publish(event for one in new for event in one)), PARTITIONS)
    for size in (2, 3, 10):
        page = await queries.list(asked(status=status, page_size=size, counts=True))
        counts = by_status(page)
        assert page.total == sum(counts.values()) == counts[Status.FAILURE]
        assert page.total >= len(page.items) + (page.next_cursor is not None)


async def test_what_ends_before_the_page_is_no_longer_counted(store: ClickHouseStore, publish: Publish) -> None:
    one, other = life("a", Status.SUCCESS), life("b", Status.RUNNING)
    await publish([*one[:2], *other])
    queries = TaskExecutionQueries(Between(store, lambda: publish(one[2:])), PARTITIONS)
    page = await queries.list(asked(status=["RUNNING"], counts=True))
    assert (len(page.items), page.total, by_status(page)[Status.RUNNING]) == (1, 1, 1)


async def test_while_events_come_in_the_counts_add_up_to_the_total(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    async def come() -> None:
        for number in takewhile(lambda number: number < 30 or asks <= 3, range(300)):
            known: list[list[Event]] = [
                life((number, n), rng.choice([*Status]), at=T0 + n % 5 * SECOND) for n in range(40)
            ]
            await publish(event for events in known for event in events)
            come_to.append(number)

    come_to: list[int] = []
    rng = random.Random(5)  # noqa: S311 - a seeded model
    coming = asyncio.create_task(come())
    asks = 0
    while not coming.done():
        for status in WANTED:
            page = await queries.list(asked(status=status, page_size=rng.choice((10, 1000)), counts=True))
            counts = by_status(page)
            assert min(counts.values()) >= 0
            assert page.total == sum(counts[each] for each in status or Status)
            assert page.total >= len(page.items) + (page.next_cursor is not None)
        asks += 1
    await coming
    assert asks > 3
    assert sum(by_status(await queries.list(asked(counts=True))).values()) == 40 * len(come_to)
