"""The analysts' views against the model and the queries: on unmerged parts, replays, and while rows come and go."""

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.domain.view import view
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.driver import Driver, Row
from service.read_model.clickhouse.dropping import drop_statements
from service.read_model.clickhouse.schema import VIEW_MARK, VIEWS
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import Publish
from tests.queries.lives import SECOND, T0, asked, life
from tests.queries.test_filters import MINUTE, lives, publish_anyhow
from tests.queries.test_statistics import percentiles

LIMITS = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "24h": 1440}


def ms(since: datetime | None, until: datetime | None) -> int | None:
    return (until - since) // timedelta(milliseconds=1) if since and until else None


def as_row(one: TaskExecution) -> Row:
    """What `executions` should show of it."""
    created = one.metadata.created_at
    return {
        "executionId": one.id, "taskId": one.task_id, "taskVersion": one.task_version, "status": one.status.value,
        "createdAt": created, "startedAt": one.started_at, "completedAt": one.completed_at,
        "queueMs": ms(created, one.started_at), "runMs": ms(one.started_at, one.completed_at),
        "totalMs": ms(created, one.completed_at), "createdBy": one.metadata.created_by,
        "tags": [*one.metadata.tags], "message": one.error_message or one.skip_reason or "",
    }  # fmt: skip


async def rows(driver: Driver, sql: str, parameters: Row | None = None) -> list[Row]:
    """The rows, their times as the model has them: ours are all in UTC, of which clickhouse-connect says nothing."""
    return [
        {
            name: value.replace(tzinfo=UTC)
            if isinstance(value, datetime)
            else str(value)
            if isinstance(value, UUID)
            else value
            for name, value in row.items()
        }
        for row in await driver.query(sql, parameters)
    ]


async def shown(driver: Driver, view_: str = "executions", where: str = "true", **settings: int) -> dict[str, Row]:
    """The rows of `executions` or `failures` by their ids; none may be there twice."""
    sql = f"SELECT * FROM {view_} WHERE {where}"  # noqa: S608 - our own words
    if settings:
        sql += " SETTINGS " + ", ".join(f"{name} = {value}" for name, value in settings.items())
    every = await rows(driver, sql)
    found = {row["executionId"]: row for row in every}
    assert len(found) == len(every)
    return found


def by(key: Callable[[TaskExecution], Any], known: Iterable[TaskExecution]) -> dict[Any, list[TaskExecution]]:
    groups: dict[Any, list[TaskExecution]] = defaultdict(list)
    for one in known:
        groups[key(one)].append(one)
    return groups


def counted(of_them: Sequence[TaskExecution]) -> Row:
    """The counts and times that `executions_hourly` and `task_health` share."""
    counts = Counter(one.status for one in of_them)
    every = [as_row(one) for one in of_them]
    found: Row = {"total": len(of_them)} | {status.lower(): counts[status] for status in Status}
    for name, column in (("started", "queueMs"), ("ran", "runMs")):
        values = [row[column] for row in every if row[column] is not None]
        exact = percentiles([timedelta(milliseconds=value) for value in values])
        found |= {name: len(values), f"{column}Sum": sum(values)}
        found |= {f"{column}P50": exact and exact.p50, f"{column}P95": exact and exact.p95}
    return found


def last(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time), default=None)


@pytest.fixture
async def known(publish: Publish, without_merges: None) -> list[TaskExecution]:
    """200 executions of two days, their events in an order and in inserts of no plan, some of them twice."""
    rng = random.Random(11)  # noqa: S311 - a seeded model
    known = lives(11, 100)
    known += [
        life(("late", n), status, at=T0 + timedelta(hours=n % 40), took=rng.choice((MINUTE, 5 * MINUTE, 70 * MINUTE)))
        for n, status in enumerate(rng.choices([*Status], k=100))
    ]
    await publish_anyhow(publish, known, rng)
    return [view(events) for events in known]


@pytest.mark.parametrize("apart", [0, 1])
async def test_every_execution_is_shown_as_it_is(driver: Driver, known: list[TaskExecution], apart: int) -> None:
    wanted = {one.id: as_row(one) for one in known}
    assert await shown(driver, do_not_merge_across_partitions_select_final=apart) == wanted


async def test_the_views_agree_with_the_answers(
    driver: Driver, queries: TaskExecutionQueries, known: list[TaskExecution]
) -> None:
    page = await queries.list(asked(page_size=1000))
    assert await shown(driver) == {item.id: as_row(item) for item in page.items}
    for task in {one.task_id for one in known}:
        stats = await queries.stats(task, group_by="taskVersion", times=True)
        (health,) = await driver.query("SELECT * FROM task_health WHERE taskId = {task:String}", {"task": task})
        assert {status: health[status.lower()] for status in Status} == {s: getattr(stats, s.lower()) for s in Status}
        assert (health["total"], health["successRate"]) == (stats.total, stats.success_rate)
        assert stats.queue_time is not None
        assert stats.run_time is not None
        assert (health["queueMsP50"], health["queueMsP95"]) == (stats.queue_time.p50, stats.queue_time.p95)
        assert (health["runMsP50"], health["runMsP95"]) == (stats.run_time.p50, stats.run_time.p95)


async def test_hours_are_those_of_the_model(driver: Driver, known: list[TaskExecution]) -> None:
    groups = by(lambda one: (one.metadata.created_at.replace(minute=0, second=0), one.task_id, one.task_version), known)
    found = await rows(driver, "SELECT * FROM executions_hourly")
    wanted = {key: counted(of_them) for key, of_them in groups.items()}
    assert {(row.pop("hour"), row.pop("taskId"), row.pop("taskVersion")): row for row in found} == wanted


async def test_the_health_of_tasks_is_that_of_the_model(driver: Driver, known: list[TaskExecution]) -> None:
    wanted = {}
    for task, of_them in by(lambda one: one.task_id, known).items():
        row = counted(of_them)
        ended = row["success"] + row["failure"]
        row["successRate"] = row["success"] / ended if ended else None
        row["lastCreatedAt"] = last(one.metadata.created_at for one in of_them)
        for status in (Status.SUCCESS, Status.FAILURE):
            at = last(one.completed_at for one in of_them if one.status is status)
            row[f"last{status.capitalize()}At"] = at
        wanted[task] = row
    assert {row.pop("taskId"): row for row in await rows(driver, "SELECT * FROM task_health")} == wanted


async def test_what_ended_in_time_is_what_the_model_says(driver: Driver, known: list[TaskExecution]) -> None:
    wanted = {}
    key = lambda one: (one.metadata.created_at.date(), one.task_id, one.status.value)  # noqa: E731 - a key
    for group, of_them in by(key, known).items():
        total = [as_row(one)["totalMs"] for one in of_them]
        within = {
            f"within{name}": sum(took is not None and took <= minutes * 60_000 for took in total)
            for name, minutes in LIMITS.items()
        }
        wanted[group] = {"total": len(of_them)} | within
    found = {
        (row.pop("day"), row.pop("taskId"), row.pop("status")): row for row in await driver.query("SELECT * FROM sla")
    }
    assert found == wanted
    assert {took for row in found.values() for took in row.values()} > {0, 1}


async def test_failures_are_those_of_the_model(driver: Driver, known: list[TaskExecution]) -> None:
    names = ("executionId", "taskId", "taskVersion", "createdAt", "runMs", "createdBy", "tags", "message")
    wanted = {
        one.id: {name: as_row(one)[name] for name in names} | {"failedAt": one.completed_at}
        for one in known
        if one.status is Status.FAILURE
    }
    found = await shown(driver, "failures")
    fingerprints = {row.pop("fingerprint") for row in found.values()}
    assert found == wanted
    assert fingerprints == {"Disk FULL on host-<n>", "timeout after <n> s", "ümläut", "disk full"}


async def test_a_group_without_times_has_none(driver: Driver, publish: Publish) -> None:
    await publish(life("waits", Status.PENDING))
    (row,) = await driver.query("SELECT * FROM task_health")
    nothing = ("successRate", "queueMsP50", "queueMsP95", "runMsP50", "runMsP95", "lastSuccessAt", "lastFailureAt")
    assert [row[name] for name in nothing] == [None] * len(nothing)
    assert (row["started"], row["ran"], row["queueMsSum"], row["runMsSum"]) == (0, 0, 0, 0)


async def test_nothing_is_open_again_in_a_replay(driver: Driver, publish: Publish, store: ClickHouseStore) -> None:
    known = [life((status, number), status) for status in Status for number in range(5)]
    await publish(event for events in known for event in events)
    wanted = {one.id: as_row(one) for one in map(view, known)}
    await store.tidy()
    assert await shown(driver) == wanted
    await publish(events[0] for events in known)
    assert await shown(driver) == wanted
    await store.tidy()
    assert await shown(driver) == wanted


async def test_between_the_two_inserts_of_an_end_it_is_what_its_transitions_say(
    driver: Driver, publish: Publish
) -> None:
    running = life("a", Status.RUNNING)
    await publish(running)
    ended = "SELECT createdAt, executionId, 9, 1, 'SUCCESS', startedAt, taskId, taskVersion, createdBy, tags"
    await driver.command(f"INSERT INTO task_executions_open {ended} FROM task_executions_open")
    assert await shown(driver) == {running[0].execution_id: as_row(view(running))}


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # what is written meanwhile is the same over HTTP
async def test_no_execution_is_missed_or_twice_while_they_end(driver: Driver, publish: Publish) -> None:
    """Where the halves are read at two moments, as in a view that runs as its owner, some are missed."""
    number = 3000
    lives_ = [life(n, at=T0 + n * SECOND) for n in range(number)]
    await publish(event for events in lives_ for event in events[:2])
    for setting in ("fsync_after_insert", "fsync_part_directory"):  # more of them end while it is looked at
        await driver.command(f"ALTER TABLE task_execution_transitions MODIFY SETTING {setting} = 0")

    async def end() -> None:
        for first in range(0, number, 20):
            span = f"toUnixTimestamp(createdAt) - {int(T0.timestamp())} BETWEEN {first} AND {first + 19}"
            await driver.command(
                "INSERT INTO task_execution_transitions SELECT 'SUCCESS', 'RUNNING', at + 5, executionId, taskId, "  # noqa: S608 - our own words
                "taskVersion, createdAt, at, createdBy, tags, '', payloads FROM task_execution_transitions "
                f"WHERE status = 'RUNNING' AND {span}"
            )

    async def look() -> None:
        while not ending.done():
            (row,) = await driver.query("SELECT count() AS rows, uniqExact(executionId) AS ids FROM executions")
            assert (row["rows"], row["ids"]) == (number, number)

    ending = asyncio.create_task(end())
    await asyncio.gather(ending, look(), look(), look())
    assert (await driver.query("SELECT success FROM task_health")) == [{"success": number}]


async def test_what_is_dropped_is_shown_whole_or_not_at_all(
    driver: Driver, publish: Publish, store: ClickHouseStore
) -> None:
    old = [life(("old", status, number), status) for status in Status if status.is_final for number in range(6)]
    kept = [life(("kept", status), status, at=T0 + timedelta(days=1)) for status in Status]
    whole = {one.id: as_row(one) for one in map(view, [*old, *kept])}
    last_ms = int((T0 + 3 * SECOND).timestamp() * 1000)
    for steps in range(len(drop_statements(last_ms))):
        for sequence in range(3):
            await publish(events[sequence] for events in [*old, *kept] if sequence < len(events))
        *done, half = drop_statements(last_ms)[: steps + 1]
        for statement in done:
            await driver.maintain(statement)
        columns = {"task_execution_events": "type", "task_execution_dependencies": "upstream"}
        column = columns.get(half.split()[2], "status")
        await driver.maintain(f"{half} AND cityHash64(executionId, {column}) % 2 = 0")
        found = await shown(driver)
        assert found == {id_: whole[id_] for id_ in found}
        assert {events[0].execution_id for events in kept} <= found.keys()
    await store.drop_finished(last_ms + 1)
    assert (await shown(driver)).keys() == {events[0].execution_id for events in kept}


async def test_every_view_and_every_column_has_a_comment(driver: Driver) -> None:
    tables = await driver.query("SELECT name, comment FROM system.tables WHERE database = currentDatabase()")
    comments = {row["name"]: row["comment"] for row in tables if row["name"] in VIEWS}
    assert comments.keys() == {*VIEWS}
    assert all(re.fullmatch(f"{VIEW_MARK} \\w.+", comment) for comment in comments.values())
    columns = await driver.query(
        "SELECT table, name, comment FROM system.columns "
        "WHERE database = currentDatabase() AND table IN {views:Array(String)}",
        {"views": [*VIEWS]},
    )
    assert {row["table"] for row in columns} == {*VIEWS}
    assert not [row for row in columns if not row["comment"]]


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same plan over HTTP
@pytest.mark.parametrize(
    "query",
    [
        "SELECT count() FROM executions WHERE createdAt >= '2026-03-01 00:00:00'",
        "SELECT count() FROM executions WHERE completedAt >= '2026-03-01 00:00:00'",
        "SELECT taskId, count() FROM executions WHERE createdAt >= '2026-03-01 00:00:00' GROUP BY taskId",
        "SELECT sum(total) FROM executions_hourly WHERE hour >= '2026-03-01 00:00:00'",
        "SELECT sum(total) FROM sla WHERE day >= '2026-03-01'",
        "SELECT count() FROM failures WHERE failedAt >= '2026-03-01 00:00:00'",
    ],
)
async def test_a_condition_on_time_leaves_older_parts_unread(
    driver: Driver, publish: Publish, store: ClickHouseStore, query: str
) -> None:
    final = [status for status in Status if status.is_final]
    for months in range(1, 5):
        at = T0 - timedelta(days=31 * months)
        await publish(event for status in final for event in life((status, months), status, at=at))
    await publish(event for status in Status for event in life(status, status))
    await store.tidy()
    await driver.command("OPTIMIZE TABLE task_execution_transitions FINAL")
    (every,) = await driver.query("EXPLAIN ESTIMATE SELECT count() FROM executions")
    (some,) = await driver.query(f"EXPLAIN ESTIMATE {query}")
    assert 0 < some["parts"] <= len(Status) < every["parts"] // 3


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the same plan over HTTP
@pytest.mark.parametrize("name", VIEWS)
async def test_a_condition_on_the_task_is_met_where_rows_are_read(driver: Driver, publish: Publish, name: str) -> None:
    await publish(event for status in Status for event in life(status, status))
    sql = f"EXPLAIN actions = 1 SELECT * FROM {name} WHERE taskId = 'etl:load'"  # noqa: S608 - our own names
    explained = await driver.query(sql)
    plan = "\n".join(row["explain"] for row in explained)
    reads = plan.count("ReadFromMergeTree (") - plan.count(".task_executions_open)")
    at_once = re.findall(r"Filter column: [^\n]*taskId = 'etl:load'\n[^A-Za-z]*ReadFromMergeTree", plan)
    before = re.findall(r"Prewhere filter column: [^\n]*taskId = 'etl:load'", plan)
    assert len(at_once) + len(before) == reads, plan
