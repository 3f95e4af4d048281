"""Finished executions whose time is over: hidden at once in all answers, then dropped, never half of one."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from service.contracts.events import Dependency, Event
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.domain.view import view
from service.ports.filters import Filters
from service.ports.read_model import GroupOrder
from service.ports.retentions import Retentions
from service.projection.rows import event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import store as store_module
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.dropping import TABLES, drop_statements
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import SECOND, T0, asked, execution_id, life, records

DEPENDENCIES = "task_execution_dependencies"
RETENTION = timedelta(days=30)
LATER = T0 + timedelta(days=10)

WAITS = (Dependency(execution_id("upstream"), "upstream"),)

OLD = [
    life(("old", status, number), status, at=T0 + number * SECOND, task_id=f"etl:{number % 2}", depends_on=WAITS)
    for status in (Status.SUCCESS, Status.FAILURE, Status.STOPPED, Status.SKIPPED)
    for number in range(10)
]
KEPT = [
    life(("kept", status, number), status, at=at, task_id="etl:0", depends_on=WAITS)
    for status in Status
    for at in ((T0,) if status in {Status.PENDING, Status.RUNNING} else (LATER,))
    for number in range(10)
]
LAST_OLD_MS = int((T0 + 12 * SECOND).timestamp() * 1000)
BETWEEN = (T0 + timedelta(days=5) + RETENTION).timestamp()


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver, Retentions(RETENTION), clock=lambda: BETWEEN)


async def insert(store: ClickHouseStore, events: Sequence[Event], token: str = "") -> None:
    await store.insert_events([event_row(record) for record in records(events)], token)


async def insert_all(store: ClickHouseStore, run: str = "first") -> None:
    """Every event of a life in another part, as the projector would have written them; once in each run."""
    for sequence in range(3):
        events = [events[sequence] for events in OLD + KEPT if sequence < len(events)]
        await insert(store, events, f"{run} {sequence}")


async def shows_exactly_the_kept(store: ClickHouseStore) -> None:
    """All queries say the same: as if the old ones had never been."""
    queries = TaskExecutionQueries(store, 8)
    page = await queries.list(asked(page_size=1000))
    assert {item.id: item for item in page.items} == {events[0].execution_id: view(events) for events in KEPT}
    stats, of_one = await queries.stats(), await queries.stats("etl:0")
    assert page.total == stats.total == of_one.total == len(KEPT)
    assert [one.total for one in await queries.stats_by_task()] == [len(KEPT)]
    by_task = {sort: await queries.stats(group_by="taskId", sort=sort) for sort in GroupOrder}
    assert {stats.group_count for stats in by_task.values()} == {1}
    assert {(group.total, group.failure) for stats in by_task.values() for group in stats.groups or ()} == {
        (len(KEPT), 10)
    }
    assert (await queries.list(asked(status=["FAILURE"], task_id="etl:0"))).total == 10
    for events in (OLD[0], OLD[-1]):
        with pytest.raises(RejectedError) as refused:
            await queries.get(events[0].execution_id)
        assert refused.value.problem.code is Code.EXECUTION_NOT_FOUND
    assert (await queries.get(KEPT[-1][0].execution_id)).id == KEPT[-1][0].execution_id


async def rows(driver: Driver) -> dict[str, set[tuple[str, str]]]:
    """What is there, hidden or not, merged or not."""
    found: dict[str, set[tuple[str, str]]] = {}
    statuses = {
        "task_execution_events": "ifNull(JSONExtract(payload, 'status', 'Nullable(String)'), 'PENDING')",
        DEPENDENCIES: "'PENDING'",
    }
    for table in (*TABLES, DEPENDENCIES):
        status = statuses.get(table, "toString(status)")
        sql = f"SELECT toString(executionId) AS id, {status} AS status FROM {table}"  # noqa: S608 - our own names
        found[table] = {(row["id"], row["status"]) for row in await driver.query(sql)}
    return found


async def test_they_are_hidden_from_all_answers_before_and_after_they_are_dropped(
    driver: Driver, store: ClickHouseStore
) -> None:
    await insert_all(store)
    await shows_exactly_the_kept(store)
    assert await store.drop_finished(LAST_OLD_MS + 1) == len(OLD)
    await shows_exactly_the_kept(store)
    kept = {(event.execution_id, event.status.value) for events in KEPT for event in events}
    found = await rows(driver)
    assert found["task_execution_events"] == kept
    assert {id_ for of_table in found.values() for id_, _ in of_table} == {id_ for id_, _ in kept}
    assert found[DEPENDENCIES] == {(id_, "PENDING") for id_, _ in kept}
    assert await store.drop_finished(LAST_OLD_MS + 1) == 0


async def test_stopped_anywhere_nothing_is_half_shown_and_the_next_time_drops_the_rest(
    driver: Driver, store: ClickHouseStore
) -> None:
    """The last step has reached some parts only: those with every second row."""
    old = {events[0].execution_id for events in OLD}
    for steps in range(len(drop_statements(LAST_OLD_MS))):
        await insert_all(store, f"{steps}")
        *done, half = drop_statements(LAST_OLD_MS)[: steps + 1]
        for statement in done:
            await driver.maintain(statement)
        columns = {"task_execution_events": "type", DEPENDENCIES: "upstream"}
        column = columns.get(half.split()[2], "status")
        await driver.maintain(f"{half} AND cityHash64(executionId, {column}) % 2 = 0")
        await shows_exactly_the_kept(store)
        await store.drop_finished(LAST_OLD_MS + 1)
        await shows_exactly_the_kept(store)
        assert not old & {id_ for found in (await rows(driver)).values() for id_, _ in found}


async def test_queries_that_run_meanwhile_agree(store: ClickHouseStore) -> None:
    await insert_all(store)
    dropping_now = asyncio.create_task(store.drop_finished(LAST_OLD_MS + 1))
    while not dropping_now.done():
        await shows_exactly_the_kept(store)
    assert await dropping_now == len(OLD)


async def test_what_a_replay_brings_back_is_hidden_and_goes_again(store: ClickHouseStore) -> None:
    await insert_all(store)
    await store.drop_finished(LAST_OLD_MS + 1)
    await insert(store, [event for events in OLD for event in events], "other batches")
    await shows_exactly_the_kept(store)
    assert await store.drop_finished(LAST_OLD_MS + 1) == len(OLD)
    await shows_exactly_the_kept(store)


async def test_the_moment_itself_is_kept_and_none_goes_before_it(store: ClickHouseStore) -> None:
    await insert(store, OLD[0])
    ended = int((T0 + 3 * SECOND).timestamp() * 1000)
    assert await store.drop_finished(ended) == 0
    assert await store.drop_finished(ended + 1) == 1


async def test_many_go_in_turns_the_oldest_first(
    driver: Driver, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "AT_ONCE", 6)
    await insert_all(store)
    counts = []
    while count := await store.drop_finished(LAST_OLD_MS + 1):
        counts.append(count)
        await shows_exactly_the_kept(store)
    assert counts == [8] * 5  # four ended in each second: none of them is left behind
    assert not {events[0].execution_id for events in OLD} & {id_ for id_, _ in (await rows(driver))[TABLES[2]]}


async def test_another_life_under_the_same_id_is_another_record(driver: Driver, store: ClickHouseStore) -> None:
    """It should not be; but where it is, an open one is neither hidden nor dropped for an old one."""
    (again,) = life(("old", Status.SUCCESS, 0), Status.PENDING, at=LATER)
    await insert(store, [*OLD[0], again])
    await store.drop_finished(LAST_OLD_MS + 1)
    assert (again.execution_id, "PENDING") in (await rows(driver))["task_execution_transitions"]
    assert [event.sequence for event in await store.events(again.execution_id)] == [1]


async def test_without_a_retention_nothing_is_hidden(driver: Driver) -> None:
    store = ClickHouseStore(driver)
    await insert_all(store)
    assert sum((await store.counts(Filters()))[""].values()) == len(OLD) + len(KEPT)
    assert len(await store.events(OLD[0][0].execution_id)) == 3


def test_the_transitions_are_dropped_last() -> None:
    """They say which executions are not dropped from all tables yet."""
    tables = [DEPENDENCIES, *(name for name in TABLES for _ in range(2))]
    assert [statement.split()[2] for statement in drop_statements(0)] == tables
