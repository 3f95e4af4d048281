"""Lists and stats against a brute-force model, on many unmerged parts."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, timedelta
from itertools import product, takewhile
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.domain.view import view
from service.kafka.connection import Kafka
from service.ports.read_model import ListedExecution
from service.projection.batch import make_batch
from service.queries import pages, payloads
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import reading, statements
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS, Publish
from tests.queries.lives import asked, execution_id, life, records

NOW = Timestamp.now(UTC).replace(microsecond=0)
TASKS = ["etl:load", "ml:train", "sql:report"]
PEOPLE = ["ana", "bo", "o'brien \\ ünï"]
PLACE = TopicPartition(EVENTS_TOPIC, 0)
TAGS = ["nightly", "it's", "tab\t"]


def lives(seed: int, count: int) -> list[list[Event]]:
    """Executions over two years, many at the same moment; some are far in the past."""
    rng = random.Random(seed)  # noqa: S311 - a seeded model
    return [
        life(
            (seed, number),
            rng.choice(list(Status)),
            at=NOW - timedelta(hours=rng.choice([0, 0, 1, 5, 30, 200, 1000, 17_000]), seconds=rng.randrange(4)),
            started=rng.random() < 0.5,
            task_id=rng.choice(TASKS),
            created_by=rng.choice(PEOPLE),
            tags=tuple(rng.sample(TAGS, rng.randrange(3))),
            inputs={"number": number},
        )
        for number in range(count)
    ]


def expected(known: Sequence[Sequence[Event]], **filters: Any) -> list[TaskExecution]:
    """The model: fold, filter, newest first. Among equals ClickHouse orders ids in an order of its own."""
    found = [
        item
        for item in map(view, known)
        if filters.get("task_id") in (None, item.task_id)
        and filters.get("status") in (None, item.status)
        and filters.get("created_by") in (None, item.metadata.created_by)
        and (filters.get("tag") is None or filters["tag"] in item.metadata.tags)
    ]
    return sorted(found, key=lambda item: item.metadata.created_at, reverse=True)


def by_name(**filters: Any) -> dict[str, Any]:
    """The filters as they are asked for: what can be several is a list."""
    return {name: [value] if name in {"status", "tag"} and value else value for name, value in filters.items()}


def same(found: Sequence[TaskExecution], wanted: Sequence[TaskExecution]) -> bool:
    """Equal but for the order of those created in the same millisecond."""
    times = [item.metadata.created_at for item in found]
    return times == [item.metadata.created_at for item in wanted] and sorted(found, key=lambda item: item.id) == sorted(
        wanted, key=lambda item: item.id
    )


@pytest_asyncio.fixture
async def known(publish: Publish, without_merges: None) -> list[list[Event]]:
    """300 executions, their events in an order and in inserts of no plan, some of them twice."""
    known = lives(1, 300)
    events = [event for one in known for event in one]
    rng = random.Random(2)  # noqa: S311 - a seeded model
    rng.shuffle(events)
    while events:
        batch, events = events[:60], events[60:]
        await publish(batch)
        await publish(rng.sample(batch, 20))
    return known


FILTERS = [
    dict(zip(("task_id", "status", "created_by", "tag"), values, strict=True))
    for values in (
        (task, status, person, tag)
        for task in (None, "ml:train", "no:such")
        for status in (None, Status.PENDING, Status.FAILURE)
        for person in (None, "o'brien \\ ünï")
        for tag in (None, "it's", "tab\t")
    )
    if values[3] != "tab\t"
]


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
async def test_every_combination_of_filters_gives_what_the_model_gives(
    queries: TaskExecutionQueries, known: list[list[Event]]
) -> None:
    for filters in FILTERS:
        page = await queries.list(asked(**by_name(**filters), page_size=1000))
        wanted = expected(known, **filters)
        assert page.total == len(wanted), filters
        assert same(page.items, wanted), filters
        assert page.next_cursor is None


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
@pytest.mark.parametrize("page_size", [13, 100, 300])
async def test_pages_by_number_and_by_cursor_give_every_execution_once(
    queries: TaskExecutionQueries, known: list[list[Event]], page_size: int
) -> None:
    wanted = expected(known, task_id="etl:load" if page_size == 13 else None)
    filters = {"task_id": "etl:load"} if page_size == 13 else {}
    by_number: list[TaskExecution] = []
    by_cursor: list[TaskExecution] = []
    cursor = None
    for number in range(1, -(-len(wanted) // page_size) + 1):
        page = await queries.list(asked(**filters, page_number=number, page_size=page_size))
        assert (page.total, page.page_number, page.page_size) == (len(wanted), number, page_size)
        by_number += page.items
        page = await queries.list(asked(**filters, page_size=page_size, cursor=cursor))
        assert (page.total, page.page_number) == (len(wanted), None if cursor else 1)
        by_cursor += page.items
        cursor = page.next_cursor
    assert cursor is None
    assert by_number == by_cursor
    assert same(by_number, wanted)
    beyond = await queries.list(asked(**filters, page_number=10**9, page_size=1000))
    assert (beyond.items, beyond.total) == ((), len(wanted))


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # hundreds of queries, which are the same over HTTP
@pytest.mark.parametrize("beside", [0, 1000])
async def test_pages_of_what_ended_are_the_same_whether_the_last_that_ended_are_enough_or_not(
    store: ClickHouseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch, beside: int
) -> None:
    rng = random.Random(3)  # noqa: S311 - a seeded model
    took = [timedelta(seconds=seconds) for seconds in (0, 1, 50, 5_000)]
    known = [
        life(n, rng.choice(list(Status)), at=NOW - timedelta(milliseconds=ago), took=rng.choice(took))
        for n, ago in enumerate(rng.sample(range(100_000), 200))
    ]
    await publish(event for events in known for event in events)
    asked_again = []

    def counted(*args: Any, **given: Any) -> Any:
        asked_again.append(args)
        return statements.page_statement(*args, **given)

    monkeypatch.setattr(statements, "_BESIDE", beside)
    monkeypatch.setattr(reading, "page_statement", counted)
    queries = TaskExecutionQueries(store, PARTITIONS)
    for statuses, size in product(([Status.FAILURE], [Status.FAILURE, Status.SUCCESS], [*Status][2:]), (1, 7, 30)):
        wanted = expected([events for events in known if view(events).status in statuses])
        for number in range(1, -(-len(wanted) // size) + 2):
            page = await queries.list(asked(status=statuses, page_size=size, page_number=number))
            assert [*page.items] == wanted[(number - 1) * size : number * size]
    assert bool(asked_again) is (beside == 0)


@pytest.mark.parametrize("older", [1, 40])
async def test_a_window_that_holds_exactly_a_page_hides_no_older_one(
    queries: TaskExecutionQueries, publish: Publish, older: int
) -> None:
    newest = [life(("new", number), at=NOW - timedelta(minutes=number)) for number in range(5)]
    oldest = [life(("old", number), at=NOW - timedelta(days=30 + number)) for number in range(older)]
    await publish(event for events in newest + oldest for event in events)
    first = await queries.list(asked(page_size=5))
    assert first.next_cursor is not None
    second = await queries.list(asked(page_size=older, cursor=first.next_cursor))
    assert [item.id for item in first.items + second.items] == [events[0].execution_id for events in newest + oldest]
    assert second.next_cursor is None


async def test_a_cursor_is_stable_while_newer_executions_come(
    queries: TaskExecutionQueries, known: list[list[Event]], publish: Publish
) -> None:
    first = await queries.list(asked(page_size=100))
    await publish(event for number in range(30) for event in life(("new", number), at=NOW + timedelta(days=1)))
    second = await queries.list(asked(page_size=1000, cursor=first.next_cursor))
    assert same([*first.items, *second.items], expected(known))


async def test_a_listed_item_never_contradicts_its_filter(publish: Publish, store: ClickHouseStore) -> None:
    events = life("a", Status.SUCCESS)
    await publish(events[:2])

    class Overtaken:
        """Between a page's two reads, the execution comes to its end."""

        async def page(self, *args: Any, **given: Any) -> Sequence[ListedExecution]:
            found = await store.page(*args, **given)
            await publish(events[2:])
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    queries = TaskExecutionQueries(Overtaken(), PARTITIONS)
    page = await queries.list(asked(status=["RUNNING"]))
    assert (page.items, page.total, page.next_cursor) == ((), 0, None)
    assert (await queries.get(execution_id("a"))).status is Status.SUCCESS


async def test_an_index_never_brings_back_a_status_that_is_over(
    queries: TaskExecutionQueries, publish: Publish, without_merges: None
) -> None:
    # Several granules: where none of the newer ones holds PENDING, an index could hide what replaced the older ones.
    lives = [life(number, at=NOW - timedelta(seconds=number), tags=("x",)) for number in range(2000)]
    for step in range(3):
        await publish(events[step] for events in lives)
    (waiting,) = life("waiting", Status.PENDING, at=NOW)
    await publish([waiting])
    for task_id in (None, "etl:load"):
        assert (await queries.list(asked(task_id=task_id, status=["PENDING"]))).total == 1
        assert (await queries.list(asked(task_id=task_id, status=["RUNNING"], tag=["x"]))).total == 0
        stats = await queries.stats(task_id)
        assert (stats.total, stats.pending, stats.running, stats.success) == (2001, 1, 0, 2000)


async def test_one_that_ended_is_not_open_again_when_its_first_events_are_replayed(
    queries: TaskExecutionQueries, publish: Publish, store: ClickHouseStore, driver: Driver
) -> None:
    ended = [life(number, at=NOW - timedelta(seconds=number)) for number in range(30)]
    open_ = [life(("open", number), Status.RUNNING, at=NOW - timedelta(seconds=number)) for number in range(5)]
    await publish(event for events in ended + open_ for event in events)
    await store.tidy()
    assert await driver.query("SELECT count() AS n FROM task_executions_open") == [{"n": len(open_)}]
    await publish(event for events in ended for event in events[:2])
    for status in (Status.RUNNING, Status.PENDING):
        wanted = [view(events) for events in open_ if status is Status.RUNNING]
        page = await queries.list(asked(status=[status], page_size=3))
        assert (page.total, [*page.items]) == (len(wanted), wanted[:3])
        page = await queries.list(asked(status=[status], page_size=30))
        assert (page.total, [*page.items], page.next_cursor) == (len(wanted), wanted, None)


async def test_while_events_come_in_nothing_contradicts_itself(
    queries: TaskExecutionQueries, store: ClickHouseStore
) -> None:
    """An insert has several statuses, and they may become visible one after the other."""

    async def come() -> None:
        for number in takewhile(lambda number: number < 40 or asks <= 5, range(400)):
            known = [life((number, n), rng.choice([*Status]), at=NOW - timedelta(hours=n % 3)) for n in range(50)]
            rows = make_batch({PLACE: [*records(event for events in known for event in events)]}, Kafka("none:1"))
            await store.insert_events(rows.events.rows, f"{number}")
            come_to.append(number)

    come_to: list[int] = []
    rng = random.Random(5)  # noqa: S311 - a seeded model
    coming = asyncio.create_task(come())
    asks = 0
    while not coming.done():
        stats = await queries.stats()
        assert min(getattr(stats, status.lower()) for status in Status) >= 0
        for status in ([], ["FAILURE"], ["RUNNING", "PENDING"]):
            page = await queries.list(asked(status=status, page_size=rng.choice((10, 1000))))
            assert page.total >= len(page.items) + (page.next_cursor is not None)
            assert page.next_cursor or page.total == len(page.items)
        asks += 1
    await coming
    assert asks > 5
    assert (await queries.stats()).total == (await queries.list(asked())).total == 50 * len(come_to)


async def test_the_last_pages_are_read_from_the_other_end(
    queries: TaskExecutionQueries, known: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_FAR", 5)
    for status in ([], ["SUCCESS", "FAILURE"], ["SUCCESS", "RUNNING"]):
        everything = (await queries.list(asked(status=status, page_size=1000))).items
        by_number: list[TaskExecution] = []
        for number in range(1, -(-len(everything) // 7) + 1):
            page = await queries.list(asked(status=status, page_number=number, page_size=7))
            assert page.total == len(everything)
            by_number += page.items
        assert by_number == [*everything]
        assert (await queries.list(asked(status=status, page_number=1000, page_size=7))).items == ()


async def test_parts_that_were_written_before_in_another_way_are_read_and_merged(
    queries: TaskExecutionQueries, publish: Publish, driver: Driver
) -> None:
    """Tables of an earlier version, before docs/adr/0048."""
    columns = {
        "at": "DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1))",
        "createdAt": "DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1))",
        "startedAt": "Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1))",
    }
    for name, written in columns.items():
        await driver.command(f"ALTER TABLE task_execution_transitions MODIFY COLUMN {name} {written}")
    known = [life(number, Status.SUCCESS, at=NOW - timedelta(seconds=number), tags=("x",)) for number in range(100)]
    await publish(event for events in known[::2] for event in events)
    await create_schema(driver, migrating=True)
    await publish(event for events in known[1::2] for event in events)
    for _ in range(2):
        for given in ({}, {"tag": ["x"], "created_by": "ana"}, {"min_duration": "1s", "sort": "duration"}):
            page = await queries.list(asked(**given, page_size=1000))
            assert same(sorted(page.items, key=lambda one: one.metadata.created_at, reverse=True), expected(known))
        await driver.command("OPTIMIZE TABLE task_execution_transitions FINAL")


async def test_the_six_categories_add_up_and_are_right(queries: TaskExecutionQueries, known: list[list[Event]]) -> None:
    by_task = {stats.task_id: stats for stats in await queries.stats_by_task()}
    assert list(by_task) == sorted(TASKS)
    for task_id in [None, *TASKS]:
        stats = await queries.stats(task_id)
        counts = Counter(item.status for item in expected(known, task_id=task_id))
        found = {status: getattr(stats, status.lower()) for status in Status}
        assert found == {status: counts[status] for status in Status}
        assert sum(found.values()) == stats.total
        if task_id:
            assert by_task[task_id] == stats
    assert (await queries.stats("no:such")).total == 0
    assert await queries.rejections_count() == 0


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({"page_number": 0, "page_size": 0}, {"#/pageNumber", "#/pageSize"}),
        ({"page_number": -1, "page_size": 1001}, {"#/pageNumber", "#/pageSize"}),
        ({"page_number": "x", "page_size": "1.5", "status": ["DONE"]}, {"#/pageNumber", "#/pageSize", "#/status/0"}),
        ({"task_id": "no namespace", "created_by": "", "tag": ["a\0"]}, {"#/taskId", "#/createdBy", "#/tag/0"}),
        ({"cursor": "???", "min_position": "0:-1"}, {"#/cursor", "#/minPosition"}),
        ({"cursor": "ü"}, {"#/cursor"}),
        ({"cursor": "MTox"}, {"#/cursor"}),
        ({"page_number": 10**9 + 1}, {"#/pageNumber"}),
    ],
)
async def test_all_that_is_wrong_with_a_request_is_said_at_once(
    queries: TaskExecutionQueries, given: dict[str, Any], pointers: set[str]
) -> None:
    with pytest.raises(RejectedError) as caught:
        await queries.list(asked(**given))
    assert caught.value.problem.code is Code.INVALID_REQUEST
    assert {error.pointer for error in caught.value.problem.errors} == pointers


async def test_a_page_number_beside_a_cursor_is_refused(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(event for number in range(3) for event in life(number))
    cursor = (await queries.list(asked(page_size=2))).next_cursor
    with pytest.raises(RejectedError, match="either pageNumber or cursor"):
        await queries.list(asked(page_number=2, cursor=cursor))


async def test_numbers_may_come_as_text(queries: TaskExecutionQueries, publish: Publish) -> None:
    await publish(event for number in range(3) for event in life(number))
    page = await queries.list(asked(page_number="2", page_size="2"))
    assert (len(page.items), page.page_number, page.page_size, page.total) == (1, 2, 2, 3)


async def test_no_text_means_something_else_to_clickhouse(queries: TaskExecutionQueries, publish: Publish) -> None:
    names = ["\\N", "\\", "\\'", "{x:String}", "%s", "$1", "NULL", "--", "\u2028", "\ufffe", "\U0010ffff"]
    await publish(event for name in names for event in life(name, created_by=name, tags=(name,)))
    for name in names:
        found = (await queries.list(asked(created_by=name, tag=[name]))).items
        assert [item.id for item in found] == [execution_id(name)]


async def test_whoever_can_have_asked_for_an_execution_can_be_looked_for(
    queries: TaskExecutionQueries, publish: Publish
) -> None:
    longest = "ü" * MAX_ATTRIBUTE  # where a command names nobody, its CloudEvents source asked for it
    await publish(life("a", created_by=longest))
    assert (await queries.list(asked(created_by=longest))).total == 1
    with pytest.raises(RejectedError):
        await queries.list(asked(created_by=longest + "ü"))


async def test_a_page_holds_so_much_of_payloads_and_every_execution(
    queries: TaskExecutionQueries, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large they are, and in whatever pieces they are read."""
    known = [
        life(("large", number), at=NOW - timedelta(seconds=number), task_id="large:one", inputs={"x": "x" * 1_000})
        for number in range(30)
    ]
    await publish([event for events in known for event in events])
    whole = (await queries.list(asked(task_id="large:one", page_size=50))).items
    assert list(whole) == [view(events) for events in known]
    monkeypatch.setattr(payloads, "MAX_PAGE_BYTES", 25_000)
    monkeypatch.setattr(payloads, "_FIRST", 2)
    cut = (await queries.list(asked(task_id="large:one", page_size=50))).items
    full = [item for item in cut if item.resolved_inputs is not None]
    assert 5 < len(full) < 25
    assert list(whole)[: len(full)] == full
    bare = [item.model_copy(update={"resolved_inputs": None, "outputs": None}) for item in whole]
    assert list(cut)[len(full) :] == bare[len(full) :]
