"""Finished executions whose payloads are due: listed and counted as ever, without them, never with half of them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from service.contracts.events import Event
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.domain.view import view
from service.ports.retentions import Retentions
from service.projection.rows import event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import store as store_module
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.dropping_payloads import drop_payloads_statements
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import SECOND, T0, asked, life, records

RETENTION: Final = timedelta(days=30)
LATER: Final = T0 + timedelta(days=10)
BETWEEN: Final = (T0 + timedelta(days=5) + RETENTION).timestamp()
BEFORE: Final = int((T0 + timedelta(days=1)).timestamp() * 1000)

ODD: Final = {'a "quoted" \\ name/ü': ["\u2028", {"outputs": 1.5, "resolvedInputs": None}], "n": 9_007_199_254_740_993}
OLD: Final = [
    life(("old", status, number), status, at=T0 + number * SECOND, inputs=ODD, outputs=ODD, why='say "ü"\n\\/')
    for status in (Status.SUCCESS, Status.FAILURE, Status.STOPPED, Status.SKIPPED)
    for number in range(5)
]
KEPT: Final = [
    life(("kept", status, number), status, at=at, inputs=ODD, outputs=ODD)
    for status in Status
    for at in ((T0,) if status in {Status.PENDING, Status.RUNNING} else (LATER,))
    for number in range(3)
]


@pytest.fixture
def store(driver: Driver) -> ClickHouseStore:
    return ClickHouseStore(driver, Retentions(payloads=RETENTION), clock=lambda: BETWEEN)


async def insert(store: ClickHouseStore, lives: Sequence[Sequence[Event]], token: str = "") -> None:
    events = sorted((event for events in lives for event in events), key=lambda event: event.sequence)
    await store.insert_events([event_row(record) for record in records(events)], token)


def without_payloads(events: Sequence[Event]) -> TaskExecution:
    return view(events).model_copy(update={"resolved_inputs": None, "outputs": None, "payloads_dropped": True})


async def shows_all_but_payloads(store: ClickHouseStore) -> None:
    """Every query says the same, whatever is stored meanwhile."""
    queries = TaskExecutionQueries(store, 8)
    known = {events[0].execution_id: view(events) for events in KEPT}
    known |= {events[0].execution_id: without_payloads(events) for events in OLD}
    page = await queries.list(asked(page_size=1000))
    assert {item.id: item for item in page.items} == known
    stats = await queries.stats()
    assert page.total == stats.total == len(known)
    for events in (OLD[0], OLD[-1], KEPT[-1], KEPT[0]):
        answer, history = await queries.get(events[0].execution_id), await queries.history(events[0].execution_id)
        assert answer.model_dump(exclude={"as_of", "lag"}) == known[answer.id].model_dump()
        assert history.payloads_dropped is answer.payloads_dropped
        assert [item.type for item in history.items] == [type(event).__name__ for event in events]
        bodies = [item.data for item in history.items]
        assert ("resolvedInputs" in bodies[0]) == (answer.payloads_dropped is None)
        assert not any("payloadsDropped" in body for body in bodies)
        if answer.payloads_dropped:
            assert not any("outputs" in body for body in bodies)


async def left(driver: Driver) -> set[str]:
    """The executions that have payloads on the disk, once ClickHouse has merged."""
    await driver.command("OPTIMIZE TABLE task_execution_events FINAL")
    rows = await driver.query(
        "SELECT toString(executionId) AS id FROM task_execution_events "
        "WHERE JSONHas(payload, 'resolvedInputs') OR JSONHas(payload, 'outputs')"
    )
    return {row["id"] for row in rows}


async def assert_dropped(driver: Driver) -> None:
    assert await left(driver) == {events[0].execution_id for events in KEPT}


async def test_they_are_hidden_from_all_answers_before_and_after_they_are_dropped(
    driver: Driver, store: ClickHouseStore
) -> None:
    await insert(store, OLD + KEPT)
    await shows_all_but_payloads(store)
    assert await store.drop_payloads(0, BEFORE) == len(OLD)
    await shows_all_but_payloads(store)
    await assert_dropped(driver)
    await shows_all_but_payloads(store)
    assert await store.drop_payloads(0, BEFORE) == 0


async def test_who_does_not_know_the_retention_sees_all_or_nothing(driver: Driver, store: ClickHouseStore) -> None:
    """Whose events were written again in part only is shown without any payload."""
    queries = TaskExecutionQueries(ClickHouseStore(driver), 8)
    await insert(store, OLD + KEPT)
    claim, rewrite, _ = drop_payloads_statements(0, BEFORE)
    await driver.maintain(claim)
    await driver.maintain(rewrite.replace("AND (JSON", "AND sequence = 1 AND (JSON"))
    await left(driver)
    page = await queries.list(asked(page_size=1000))
    known = {events[0].execution_id: view(events) for events in KEPT}
    known |= {events[0].execution_id: without_payloads(events) for events in OLD}
    assert {item.id: item for item in page.items} == known
    history = await queries.history(OLD[0][0].execution_id)
    assert history.payloads_dropped
    assert not any("outputs" in item.data for item in history.items)


async def test_stopped_anywhere_the_next_time_drops_the_rest(driver: Driver, store: ClickHouseStore) -> None:
    for steps in range(3):
        await insert(store, OLD + KEPT, f"{steps}")
        *done, half = drop_payloads_statements(0, BEFORE)[: steps + 1]
        for statement in done:
            await driver.maintain(statement)
        await driver.maintain(half.replace(" AND ", " AND cityHash64(executionId) % 2 = 0 AND ", 1))
        await shows_all_but_payloads(store)
        await store.drop_payloads(0, BEFORE)
        await shows_all_but_payloads(store)
        await assert_dropped(driver)


async def test_what_a_replay_brings_back_is_hidden_and_goes_again(driver: Driver, store: ClickHouseStore) -> None:
    for run in ("first", "second", "third"):
        await insert(store, OLD + KEPT, run)
        await shows_all_but_payloads(store)
        assert await store.drop_payloads(0, BEFORE) == len(OLD)
        await assert_dropped(driver)


async def test_what_comes_back_while_they_are_dropped_goes_the_next_time(
    driver: Driver, store: ClickHouseStore
) -> None:
    """A replay in the midst: what it writes after the drop began is not taken for dropped."""
    await insert(store, OLD + KEPT, "first")
    claim, rewrite, mark = drop_payloads_statements(0, BEFORE)
    for statement in (claim, rewrite):
        await driver.maintain(statement)
    await insert(store, OLD, "second")
    await driver.maintain(mark)
    assert await store.drop_payloads(0, BEFORE) == len(OLD)
    await assert_dropped(driver)


async def test_a_writer_and_readers_beside_it_disturb_nothing(driver: Driver, store: ClickHouseStore) -> None:
    await insert(store, OLD + KEPT, "first")
    stop = asyncio.Event()

    async def replay() -> None:
        run = 0
        while not stop.is_set():
            for events in OLD + KEPT:
                await insert(store, [events], f"{run} {events[0].execution_id}")
            run += 1

    async def read() -> None:
        while not stop.is_set():
            await shows_all_but_payloads(store)

    others = [asyncio.create_task(work()) for work in (replay, read, read)]
    for _ in range(5):
        await store.drop_payloads(0, BEFORE)
    stop.set()
    await asyncio.gather(*others)
    while await store.drop_payloads(0, BEFORE):
        pass
    await assert_dropped(driver)
    await shows_all_but_payloads(store)


async def test_many_go_in_turns_and_none_from_beyond_the_bounds(
    driver: Driver, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "AT_ONCE", 6)
    await insert(store, OLD + KEPT)
    ended = int((T0 + 3 * SECOND).timestamp() * 1000)  # SUCCESS, FAILURE, STOPPED and SKIPPED, of the first second
    counts = []
    while count := await store.drop_payloads(ended + 1000, ended + 4000):
        counts.append(count)
    assert counts == [8, 4]
    gone = {events[0].execution_id for events in OLD if 1 <= OLD.index(events) % 5 < 4}
    assert {events[0].execution_id for events in OLD} - await left(driver) == gone


async def test_executions_go_whole_afterwards(driver: Driver, store: ClickHouseStore) -> None:
    await insert(store, OLD + KEPT)
    await store.drop_payloads(0, BEFORE)
    assert await store.drop_finished(BEFORE) == len(OLD)
    found = await driver.query("SELECT DISTINCT toString(executionId) AS id FROM task_execution_events")
    assert {row["id"] for row in found} == {events[0].execution_id for events in KEPT}


async def test_they_are_shown_to_the_last_moment(driver: Driver, store: ClickHouseStore) -> None:
    await insert(store, OLD[:1])
    ended = (T0 + 3 * SECOND + RETENTION).timestamp()
    for now, hidden in ((ended, None), (ended + 0.001, True)):
        queries = TaskExecutionQueries(
            ClickHouseStore(driver, Retentions(payloads=RETENTION), clock=partial(float, now)), 8
        )
        assert (await queries.get(OLD[0][0].execution_id)).payloads_dropped is hidden


async def test_tables_that_are_there_get_the_mark(driver: Driver, store: ClickHouseStore) -> None:
    """Those of before this version, with what is in them."""
    await driver.command("ALTER TABLE task_execution_transitions DROP COLUMN payloads")
    await insert(store, OLD)
    await create_schema(driver, migrating=True)
    assert await store.drop_payloads(0, BEFORE) == len(OLD)
    assert await left(driver) == set()
