"""What the statements become on a cluster: as text, and, as far as one engine goes, on a cluster of two shards.

An engine in process has no queue for `ON CLUSTER`, its stand-in for Keeper takes no inserts, and nobody can connect to
it. So the definitions are made once as they are, without `ON CLUSTER`. What answers and drops runs on tables that are
not replicated; all rows are on one of the shards, and the other one is skipped.
"""

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import clickhouse_connect
import pytest
import pytest_asyncio
from clickhouse_connect.driver.exceptions import DatabaseError

from service.contracts.status import Status
from service.ports.errors import StoreSetupError
from service.ports.filters import CreationFilters, EndFilters
from service.ports.positions import PartitionPosition
from service.ports.read_model import Grouping, GroupOrder
from service.ports.retentions import Retentions
from service.projection.rows import event_row
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import GetTaskExecutionFailureInbox, ListTaskCommandRejections, check
from service.read_model.clickhouse.cluster import SHARDED_BY, Cluster
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.dropping import drop_statements
from service.read_model.clickhouse.dropping_payloads import drop_payloads_statements
from service.read_model.clickhouse.hour_keeper import QUIET
from service.read_model.clickhouse.hours import count_statement, uncount_statement
from service.read_model.clickhouse.rejections import drop_rejections_statement
from service.read_model.clickhouse.schema import TABLES, create_schema, schema_statements
from service.read_model.clickhouse.store import ClickHouseStore
from tests.clickhouse_server import running_server
from tests.queries.lives import SECOND, T0, asked, life, records

GOLDEN: Final = Path(__file__).with_name("cluster.sql")
CLUSTER: Final = Cluster("main", "taskexec")
VIEW: Final = (
    "CREATE OR REPLACE VIEW failures AS\nSELECT taskId FROM task_execution_transitions FINAL WHERE status = 'FAILURE'"
)
EVERY: Final = [
    *schema_statements(),
    VIEW,
    *drop_statements(2),
    *drop_payloads_statements(1, 2),
    drop_rejections_statement(2),
    "OPTIMIZE TABLE task_executions_open FINAL CLEANUP",
    uncount_statement(0, 1).sql,
    count_statement(0, 1, again=True).sql,
]
"""Every statement that is not a query or an insert of the projector's."""


def on_cluster() -> list[str]:
    return [made for sql in EVERY for made in CLUSTER.statements(sql)]


def test_the_text_is_as_it_was_read_and_approved() -> None:
    """Where it shall change, write what this says into the file, and read it."""
    assert ";\n\n".join(map(str.strip, on_cluster())) + ";\n" == GOLDEN.read_text(encoding="utf-8")


def test_every_table_is_spread_and_only_fronts_are_read() -> None:
    assert {name for name in TABLES if not name.endswith("_filler")} == SHARDED_BY.keys()
    for sql in on_cluster():
        assert sql.startswith("INSERT") or "ON CLUSTER 'main'" in sql.splitlines()[0], sql
        if re.match("DELETE|OPTIMIZE|CREATE MATERIALIZED", sql):
            assert not re.search(rf"\b({'|'.join(SHARDED_BY)})\b", sql), sql
        if re.match("INSERT|CREATE OR REPLACE VIEW", sql):
            assert "_local" not in sql, sql


async def test_every_statement_parses(driver: Driver) -> None:
    for sql in on_cluster():
        await driver.query("SELECT formatQuery({sql:String})", {"sql": sql})


async def test_every_setting_is_one(driver: Driver) -> None:
    rows = await driver.query(
        "SELECT name FROM system.settings WHERE name IN {names:Array(String)}", {"names": [*Cluster.settings]}
    )
    assert {row["name"] for row in rows} == Cluster.settings.keys()


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("RENAME TABLE a TO b", "not a statement that is known on a cluster"),
        ("ALTER TABLE task_execution_events DROP COLUMN payload", "not a statement that is known on a cluster"),
        ("CREATE TABLE IF NOT EXISTS others (n Int8) ENGINE = MergeTree ORDER BY n", "by what the rows of others"),
    ],
)
def test_what_nobody_has_thought_of_is_refused(sql: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        CLUSTER.statements(sql)


def test_names_are_quoted() -> None:
    (local, front) = Cluster("o'n", "da'ta\\base").statements(
        "CREATE TABLE IF NOT EXISTS projector_topics (id UUID) ENGINE = Null"
    )
    assert r"ON CLUSTER 'o\'n' (" in local
    assert r"Distributed('o\'n', 'da\'ta\\base', 'projector_topics_local'" in front


@pytest.mark.parametrize(
    ("dsn", "what"),
    [("chdb:///somewhere", "TASKEXEC_CLICKHOUSE_CLUSTER"), ("clickhouse://127.0.0.1:8123", "must name the database")],
)
def test_a_dsn_that_is_not_of_a_cluster_is_refused(dsn: str, what: str) -> None:
    with pytest.raises(StoreSetupError, match=what):
        connect(dsn, cluster="main")


def test_a_dsn_of_a_server_of_the_cluster_will_do() -> None:
    assert connect("clickhouse://127.0.0.1:8123/task%20runs", cluster="main").cluster == Cluster("main", "task runs")
    assert connect("clickhouse://127.0.0.1:8123/default").cluster is None


@dataclass(frozen=True, slots=True)
class HalfThere(Cluster):
    """What an engine in process can do of it."""

    settings: ClassVar[dict[str, Any]] = {
        **Cluster.settings,
        "prefer_localhost_replica": 1,
        "skip_unavailable_shards": 1,
    }

    def statements(self, sql: str) -> list[str]:
        made = Cluster.statements(self, sql)
        return [one.replace(" ON CLUSTER 'main'", "").replace("ENGINE = Replicated", "ENGINE = ") for one in made]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("cluster"), Path(__file__).with_name("cluster.xml")) as dsn:
        yield dsn


async def test_subqueries_on_several_shards_need_their_setting(both: tuple[Driver, Driver]) -> None:
    """Else the others would prove nothing: the engine plans as for several shards."""
    await ClickHouseStore(both[1], RETENTIONS[1]).counts(CreationFilters())
    both[1]._settings = {**HalfThere.settings, "distributed_product_mode": "deny"}
    with pytest.raises(DatabaseError, match="Double-distributed"):
        await ClickHouseStore(both[1], RETENTIONS[1]).counts(CreationFilters())


def opened(dsn: str, cluster: Cluster | None) -> Driver:
    return Driver(lambda: clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False), cluster)


@pytest_asyncio.fixture
async def both(server: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Driver, Driver]]:
    """The same engine without a cluster and with one, in empty databases."""
    name = re.sub(r"\W", "_", request.node.name)
    default = opened(f"{server}/default", None)
    for database in (f"{name}_single", f"{name}_cluster"):
        await default.command(f"CREATE DATABASE {database}")
    await default.close()
    drivers = (
        opened(f"{server}/{name}_single", None),
        opened(f"{server}/{name}_cluster", HalfThere("main", f"{name}_cluster")),
    )
    for driver in drivers:
        await create_schema(driver, migrating=True)
    yield drivers
    for driver in drivers:
        await driver.close()


LIVES: Final = [
    life(
        (status, number),
        status,
        at=T0 + number * SECOND,
        task_id=f"etl:{number % 3}",
        tags=(f"t{number % 2}",),
        outputs={"n": number},
    )
    for status in Status
    for number in range(12)
]
MS: Final = int(T0.timestamp() * 1000)
NOW: Final = (T0 + timedelta(days=40)).timestamp()
RETENTIONS: Final = [
    Retentions(),
    Retentions(executions=timedelta(days=40) - 8 * SECOND, payloads=timedelta(days=40) - 10 * SECOND),
]


async def answers(driver: Driver, retentions: Retentions) -> list[Any]:
    """Of every kind of query, with conditions of every kind."""
    store = ClickHouseStore(driver, retentions, clock=lambda: NOW)
    queries = TaskExecutionQueries(store, 8)
    found: list[Any] = [await queries.list(asked(**given)) for given in (
        {}, {"page_size": 7, "page_number": 3}, {"status": ["FAILURE"]}, {"status": ["RUNNING", "SUCCESS"]},
        {"tag": ["t1"]}, {"task_id": "etl:1", "created_by": "ana"}, {"status": ["PENDING"], "page_size": 5},
        {"text": "disk"}, {"min_duration": "2s"}, {"completed_from": str(T0 + 9 * SECOND), "page_size": 9},
    )]  # fmt: skip
    found.append(await queries.list(asked(cursor=found[1].next_cursor)))
    found.append(await queries.list(asked(cursor=found[9].next_cursor, completed_from=str(T0 + 9 * SECOND))))
    found += [await queries.history(events[0].execution_id) for events in (LIVES[-1], LIVES[11])]
    found += [await store.counts(CreationFilters(), by) for by in (None, *Grouping)]
    found += [await store.counts(CreationFilters(), Grouping.TASK_ID, tasks=["etl:1"])]
    found += [await store.times(CreationFilters(), by) for by in (None, Grouping.TASK_ID)]
    found += [await store.times(CreationFilters(), Grouping.TASK_ID, tasks=["etl:1"])]
    found += [await store.first_tasks(CreationFilters(), order, 2) for order in GroupOrder]
    found.append(await store.failures(EndFilters(), 5))
    found.append(await queries.inbox(check(GetTaskExecutionFailureInbox)))
    found.append(await queries.rejections(check(ListTaskCommandRejections)))
    return [*found, sorted(await store.positions()), await store.topic_ids()]


async def test_answers_are_those_of_one_server_and_what_is_dropped_too(both: tuple[Driver, Driver]) -> None:
    events = [event for events in LIVES for event in events]
    stores = [ClickHouseStore(driver) for driver in both]
    for store in stores:
        for run in ("first", "again"):
            await store.insert_events([event_row(record) for record in records(events)], run)
            await store.write_positions([PartitionPosition("t", 3, 7, 9, 20), PartitionPosition("t", 4, 1, 2, 20)])
        await store.write_topic_ids({"t": UUID(int=7)})
        await store.tidy()
    totals = [await same_answers(both, retentions) for retentions in RETENTIONS]
    assert totals == [72, 52]  # of the four final statuses, five ended in the first seconds
    for driver in both:
        later = ClickHouseStore(driver, clock=lambda: time.time() + QUIET.total_seconds())
        assert (await later.close_hours(), await later.close_hours(), await later.check_hours()) == (1, 0, None)
    assert [await same_answers(both, retentions) for retentions in RETENTIONS] == totals
    for store in stores:
        assert [await store.drop_payloads(0, MS + 10_000) for _ in range(2)] == [28, 0]
        assert [await store.drop_finished(MS + 8_000) for _ in range(2)] == [20, 0]
    assert [await same_answers(both, retentions) for retentions in RETENTIONS] == [52, 52]


async def same_answers(both: tuple[Driver, Driver], retentions: Retentions) -> int:
    single, cluster = [await answers(driver, retentions) for driver in both]
    assert single == cluster
    total: int = single[0].total
    return total


async def test_tables_of_one_server_are_not_taken_for_a_cluster_s(both: tuple[Driver, Driver]) -> None:
    single, cluster = both
    for driver, it, what in (
        (single, cluster.cluster, "are of one server"),
        (cluster, None, "are spread over a cluster"),
    ):
        driver.cluster = it
        with pytest.raises(StoreSetupError, match=what):
            await create_schema(driver, migrating=True)


async def test_the_definitions_are_ones_that_clickhouse_makes(server: str) -> None:
    """Replicated, but for `ON CLUSTER`, which would name the tables alike on all servers."""
    default = opened(f"{server}/default", None)
    await default.command("CREATE DATABASE definitions")
    await default.close()
    driver = opened(f"{server}/definitions", None)
    cluster = Cluster("main", "definitions")
    definitions = [made for sql in schema_statements() for made in cluster.statements(sql) if made.startswith("CREATE")]
    try:
        for number, made in enumerate([*definitions, *cluster.statements(VIEW)]):
            uuid = f"UUID '{UUID(int=number + 1)}'" if "Replicated" in made else ""
            await driver.command(made.replace("ON CLUSTER 'main'", uuid))
        rows = await driver.query("SELECT name, engine FROM system.tables WHERE database = 'definitions'")
        engines = {row["name"]: row["engine"] for row in rows}
        assert {name: engines[name] for name in SHARDED_BY} == dict.fromkeys(SHARDED_BY, "Distributed")
        assert {engines[f"{name}_local"] for name in SHARDED_BY} == {"Null", "ReplicatedReplacingMergeTree"}
    finally:
        await driver.close()
