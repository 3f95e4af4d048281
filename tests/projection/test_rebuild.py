"""The read model made anew beside the one in use: it replaces it, or repairs it, and nobody notices on the way."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from structlog.testing import capture_logs

from service.contracts.events import Dependency, Event
from service.contracts.problems import Code, problem
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalRecord
from service.contracts.status import Status
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.ports.retentions import Retentions
from service.ports.second_store import Kind, TooManyDifferencesError
from service.projection import rebuild
from service.projection.rebuild import ProjectorBehindError, Rebuilder
from service.projection.rows import UnreadableRecordError, event_row
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse import closed_hours, comparing, hour_keeper
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hour_keeper import HourKeeper
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.second import TABLES, SecondTables
from service.read_model.clickhouse.store import ClickHouseStore
from tests.engines import ENGINES
from tests.projection.stage import PARTITIONS, Stage, whole
from tests.queries.lives import T0, asked, execution_id, life, record

REJECTED = 20
_numbers = count(1)


def nothing(_what: str, _done: int, _all: int) -> None:
    """No progress is shown."""


@pytest_asyncio.fixture
async def stage(broker: EmbeddedBroker, driver: Driver) -> AsyncIterator[Stage]:
    """With topics of its own: a rebuild reads all that they have."""
    prefix = f"rebuild-{next(_numbers)}."
    await ensure_topics(Kafka(broker.bootstrap_servers, prefix), PARTITIONS)
    async with Stage.prepared(broker.bootstrap_servers, driver, prefix) as stage:
        yield stage


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "_UNDER_WAY_SECONDS", 0.1)
    monkeypatch.setattr(hour_keeper, "QUIET", timedelta())


def rebuilder(stage: Stage, **more: Any) -> Rebuilder:
    return Rebuilder(stage.store, SecondTables(stage.driver), stage.kafka, PARTITIONS, **more)


def lives_of(number: int, seed: int = 1, name: str = "") -> list[list[Event]]:
    dice = random.Random(seed)  # noqa: S311 - a test's
    return [
        life(
            f"{name}{n}",
            dice.choice(list(Status)),
            at=T0 + timedelta(hours=dice.randrange(2_000)),
            outputs={"n": n},
            depends_on=tuple(Dependency(execution_id(f"{name}{n - back}"), "before") for back in range(1, n % 3)),
        )
        for n in range(number)
    ]


async def publish(stage: Stage, lives: Sequence[Sequence[Event]]) -> None:
    await stage.publish(event for events in lives for event in events)


async def reject(stage: Stage, number: int) -> None:
    """Commands that were refused."""
    for n in range(number):
        record = OriginalRecord(
            topic="task-execution.commands", partition=0, offset=n, timestamp=T0, headers=(), value_size=0
        )
        rejected = CommandRejected(problem=problem(Code.INVALID_JSON, f"not JSON {n}"), record=record)
        sent = [("ce_type", REJECTION_TYPE.encode())]
        value = rejected.model_dump_json(exclude_none=True).encode()
        await stage.publish_raw(REJECTIONS_TOPIC, value, sent, n % PARTITIONS)


async def projected_lives(stage: Stage, number: int = 60) -> list[list[Event]]:
    """Lives that are in the tables, and some refused commands."""
    lives = lives_of(number)
    await publish(stage, lives)
    await reject(stage, REJECTED)
    async with stage.projecting():
        await stage.caught_up()
    assert await close_hours(stage) > number // 2
    return lives


async def close_hours(stage: Stage) -> int:
    """Count all that have ended."""
    hours = HourKeeper(stage.driver, time.time)
    count = 0
    while more := await hours.close_next():
        count += more
    return count


async def statistics_are_of(stage: Stage, lives: Sequence[Sequence[Event]]) -> None:
    """Before what is counted of closed hours is counted again, and after."""
    queries = TaskExecutionQueries(stage.store, PARTITIONS)
    statuses = Counter(events[-1].status for events in lives)
    for _ in range(2):
        stats = await queries.stats(group_by="hour")
        assert {status: getattr(stats, status.lower()) for status in Status} == {s: statuses[s] for s in Status}
        assert await close_hours(stage) or stats.groups
        assert await HourKeeper(stage.driver, time.time).check() is None


async def left_over(driver: Driver) -> list[str]:
    names = [row["name"] for row in await driver.query("SHOW TABLES")]
    return [name for name in names if name.endswith(("_new", "_live"))]


async def damage(driver: Driver, seed: int = 1) -> None:
    """Take away a third of the rows of every table, add some that nobody has written, and change some.

    Which ones is told by their keys: by chance, all rows of a small table would stay once in a few hundred runs.
    """
    keys = "SELECT name, sorting_key AS key FROM system.tables WHERE database = currentDatabase()"
    key_of = {row["name"]: row["key"] for row in await driver.query(keys)}
    for table in TABLES:
        await driver.maintain(f"DELETE FROM {table} WHERE cityHash64({seed}, {key_of[table]}) % 3 = 0")  # noqa: S608 - our own
    events = "INSERT INTO task_execution_events SELECT executionId, {}, createdAt, topic, partition, offset FROM ("
    events += "SELECT * FROM task_execution_events ORDER BY cityHash64({}, executionId, sequence) LIMIT 5)"
    await driver.command(events.format("sequence + 7, type, payload", seed))
    await driver.command(events.format('sequence, type, \'{"status": "LOST"}\'', seed + 1))
    await driver.command(
        "INSERT INTO task_execution_transitions (status, at, executionId, taskId, createdAt) "
        "SELECT 'SUCCESS', now64(3), generateUUIDv4(), 'no:task', now64(3) FROM numbers(5)"
    )


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
async def test_damaged_tables_are_replaced(stage: Stage) -> None:
    lives = await projected_lives(stage)
    await damage(stage.driver)
    records = await rebuilder(stage).rebuild(nothing)
    assert records == sum(map(len, lives)) + REJECTED
    assert await stage.projected() == whole(lives)
    await statistics_are_of(stage, lives)
    assert await stage.store.rejections_total() == REJECTED
    assert await left_over(stage.driver) == []
    more = lives_of(10, name="more ")
    await publish(stage, more)
    async with stage.projecting():
        await stage.caught_up()
    assert await stage.projected() == whole(lives + more)


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
@pytest.mark.parametrize("seed", range(2))
async def test_every_row_that_differs_is_found_and_repaired(stage: Stage, seed: int) -> None:
    lives = await projected_lives(stage)
    await damage(stage.driver, seed)
    found = await rebuilder(stage).verify(nothing, repairing=False)
    assert found.left == len(found.comparison.differences) > 30
    assert {one.kind for one in found.comparison.differences} == set(Kind)
    assert {one.table for one in found.comparison.differences} == set(TABLES)
    repaired = await rebuilder(stage).verify(nothing, repairing=True)
    assert repaired.comparison == found.comparison
    assert repaired.left == 0
    assert await stage.projected() == whole(lives)
    await statistics_are_of(stage, lives)
    again = await rebuilder(stage).verify(nothing, repairing=True)
    assert again.comparison.differences == []
    assert again.comparison.rows["task_execution_events"] == sum(map(len, lives))
    assert again.comparison.rows["task_command_rejections"] == REJECTED
    assert await left_over(stage.driver) == []


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
async def test_what_is_worked_out_of_other_columns_makes_no_difference(stage: Stage) -> None:
    """As after an upgrade by which it is worked out in another way."""
    lives = await projected_lives(stage)
    await stage.driver.command(
        "ALTER TABLE task_execution_transitions MODIFY COLUMN fingerprint String MATERIALIZED 'another'"
    )
    await damage(stage.driver)
    assert (await rebuilder(stage).verify(nothing, repairing=True)).left == 0
    assert await stage.projected() == whole(lives)


async def test_answers_are_whole_while_it_works_and_events_come(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = await projected_lives(stage, 200)
    later = [lives_of(5, seed, f"later {seed} ") for seed in range(60)]
    done = asyncio.Event()
    listed: list[int] = []

    async def write() -> int:
        for number, some in enumerate(later):
            if done.is_set():
                return number
            await publish(stage, some)
            await asyncio.sleep(0.02)
        return len(later)

    async def read() -> None:
        queries = TaskExecutionQueries(stage.store, PARTITIONS)
        while not done.is_set():
            page = await queries.list(asked(page_size=1000))
            found = {item.id: item for item in page.items}
            assert whole(lives).items() <= found.items()
            assert len(found) == len(page.items) == page.total
            stats = await queries.stats()
            assert stats.total >= page.total
            assert sum(getattr(stats, status.lower()) for status in Status) == stats.total
            listed.append(page.total)

    monkeypatch.setattr(rebuild, "_UNDER_WAY_SECONDS", 5.0)  # an insert can take long; nobody waits for it otherwise
    async with stage.projecting():
        writing, reading = asyncio.create_task(write()), asyncio.create_task(read())
        for _ in range(2):
            await rebuilder(stage).rebuild(nothing)
            found = await rebuilder(stage).verify(nothing, repairing=False)
            assert found.comparison.differences == []
        done.set()
        written = await writing
        await reading
        await stage.caught_up()
    assert written > 5
    assert len(listed) > 5
    assert listed == sorted(listed)
    assert await stage.projected() == whole([*lives, *(events for some in later[:written] for events in some)])


class KilledError(BaseException):
    """What no code catches."""


class DyingDriver:
    """The real driver, which fails before its nth statement."""

    def __init__(self, real: Driver, after: int) -> None:
        self.real, self.left = real, after

    def rewriting(self, rewrite: Any) -> Any:
        return DyingDriver.__new__(DyingDriver)._of(self.real.rewriting(rewrite), self)

    def _of(self, real: Driver, first: "DyingDriver") -> "DyingDriver":
        self.real, self.first = real, first
        return self

    def __getattr__(self, name: str) -> Any:
        counter = self.__dict__.get("first", self)
        if name in {"command", "delete", "insert"}:
            counter.left -= 1
            if counter.left < 0:
                raise KilledError
        return getattr(self.real, name)


async def test_killed_before_any_statement_nothing_is_lost_and_the_next_one_cleans_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_hours, "LEASE", timedelta(seconds=0.05))  # nobody reads meanwhile
    lives = await projected_lives(stage, 20)
    for after in count():
        dying: Any = DyingDriver(stage.driver, after)
        try:
            await Rebuilder(stage.store, SecondTables(dying), stage.kafka, PARTITIONS).rebuild(nothing)
        except KilledError:
            more = lives_of(2, after, f"after {after} ")
            await publish(stage, more)
            lives += more
            async with stage.projecting():
                await stage.caught_up()
            assert await stage.projected() == whole(lives)
            continue
        break
    assert after > 30
    assert await left_over(stage.driver) == []
    assert await stage.projected() == whole(lives)


async def test_a_projector_that_starts_tells_of_what_a_killed_one_has_left(driver: Driver) -> None:
    await SecondTables(driver).make()
    with capture_logs() as logs:
        await create_schema(driver, migrating=True)
    assert [entry["event"] for entry in logs] == ["second_tables_found"]


async def test_what_kafka_has_no_more_is_carried_over(stage: Stage, broker: EmbeddedBroker) -> None:
    lives = await projected_lives(stage)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    cut = RecordsToDelete(before_offset=5)
    await admin.delete_records({stage.kafka.partition(name, 0): cut for name in (EVENTS_TOPIC, REJECTIONS_TOPIC)})
    await admin.close()
    found = await rebuilder(stage).verify(nothing, repairing=True)
    assert found.comparison.differences == []
    await rebuilder(stage).rebuild(nothing)
    assert await stage.projected() == whole(lives)
    assert await stage.store.rejections_total() == REJECTED


async def test_a_record_that_cannot_be_read_leaves_everything_as_it_was(stage: Stage) -> None:
    lives = await projected_lives(stage, 20)
    await stage.publish_raw(EVENTS_TOPIC, b"{}", [("ce_type", b"TaskExecutionMoved")], 0)
    with pytest.raises(UnreadableRecordError):
        await rebuilder(stage).rebuild(nothing)
    assert await stage.projected() == whole(lives)
    assert await left_over(stage.driver) == []


async def test_what_the_projector_has_not_written_is_not_compared(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await projected_lives(stage, 5)
    await publish(stage, lives_of(5, name="not written "))
    monkeypatch.setattr(rebuild, "_PROJECTOR_SECONDS", 0.0)
    with pytest.raises(ProjectorBehindError, match=r"\d+ offsets behind.*projection status"):
        await rebuilder(stage).verify(nothing, repairing=True)
    assert await left_over(stage.driver) == []


async def test_when_too_much_differs_it_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await projected_lives(stage, 20)
    await damage(stage.driver)
    monkeypatch.setattr(comparing, "MOST", 3)
    with pytest.raises(TooManyDifferencesError):
        await rebuilder(stage).verify(nothing, repairing=True)


async def test_what_an_earlier_version_stored_is_answered_and_stored_anew_by_a_rebuild(stage: Stage) -> None:
    lives = await projected_lives(stage, 20)
    first = [event_row(record(events[0], 0)) for events in lives]
    older = [
        row._replace(payload=row.payload.replace("{", '{"createdAt":"2026-03-02T09:30:00.000Z",', 1)) for row in first
    ]
    await stage.store.insert_events(older, "")
    assert await stage.projected() == whole(lives)
    with pytest.raises(TooManyDifferencesError, match=r"20 executions.*projection rebuild"):
        await rebuilder(stage).verify(nothing, repairing=True)
    await rebuilder(stage).rebuild(nothing)
    assert (await rebuilder(stage).verify(nothing, repairing=True)).comparison.differences == []
    assert await stage.projected() == whole(lives)


async def test_what_is_not_kept_any_more_is_no_difference(stage: Stage) -> None:
    """Whether or not it was dropped yet."""
    kept = Retentions(timedelta(days=20), timedelta(days=10), timedelta(days=5))
    now = (T0 + timedelta(hours=1_000)).timestamp()
    stage.store = ClickHouseStore(stage.driver, kept, lambda: now)
    lives = lives_of(60)
    await publish(stage, lives)
    async with stage.projecting():
        await stage.caught_up()
    found = await rebuilder(stage, retentions=kept, clock=lambda: now).verify(nothing, repairing=False)
    assert found.comparison.differences == []
    assert 0 < found.comparison.rows["task_execution_events"] < sum(map(len, lives))


async def test_progress_is_told(stage: Stage) -> None:
    await projected_lives(stage, 20)
    told: dict[str, list[tuple[int, int]]] = {}
    await rebuilder(stage).verify(
        lambda what, done, all_: told.setdefault(what, []).append((done, all_)), repairing=True
    )
    assert list(told) == ["Reading the topics", "Comparing"]
    assert all(steps[-1][0] == steps[-1][1] > 0 for steps in told.values())
