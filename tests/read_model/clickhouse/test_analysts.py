"""The analysts' role reads the views and nothing else, within its limits: enforced by the engine in process.

That engine knows users from a file only. So what analysts.sql says is put into one, grants and limits word by word, and
that the engine's one user is an analyst; the views run as another one. That the statements themselves are SQL which
ClickHouse understands is tested apart.
"""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from service.contracts.status import Status
from service.projection.rows import event_row
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import VIEWS, create_schema
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.lives import life, records

SQL: Final = (files("service.read_model.clickhouse") / "analysts.sql").read_text(encoding="utf-8")
STATEMENTS: Final = [statement for statement in SQL.split(";\n") if statement.strip()]
(LIMITS,) = re.findall(r"ALTER SETTINGS PROFILE taskexec_analyst SETTINGS\n(.*?);\n", SQL, re.DOTALL)
GRANTS: Final = re.findall(r"^GRANT (SELECT ON )(\w+) TO taskexec_analyst;$", SQL, re.MULTILINE)
LIMIT: Final = re.compile(r"\s*(\w+) = '?(\w+)'?(?: MIN (\d+) MAX (\d+))?( CONST)?\s*")

Connect = Callable[..., Client]


def test_the_role_may_read_every_view() -> None:
    assert [name for _, name in GRANTS] == [*VIEWS]
    assert SQL.count("GRANT") == len(GRANTS)


async def test_clickhouse_understands_every_statement(driver: Driver) -> None:
    for statement in STATEMENTS:
        assert await driver.query(f"EXPLAIN AST {statement}", {"password": "it's"})


def of_user(name: str, profile: str, grants: list[str]) -> str:
    queries = "".join(f"<query>{grant}</query>" for grant in grants)
    return (
        f"<{name}><password/><networks><ip>::/0</ip></networks><profile>{profile}</profile><quota>default</quota>"
        f"<grants>{queries}</grants></{name}>"
    )


def profile() -> str:
    """The limits of analysts.sql, as a file of users has them."""
    values, constraints = "", ""
    for item in LIMITS.split(","):
        found = LIMIT.fullmatch(item)
        assert found, item
        name, value, least, most, const = found.groups()
        values += f"<{name}>{value}</{name}>"
        if const or least:
            bounds = "<const/>" if const else f"<min>{least}</min><max>{most}</max>"
            constraints += f"<{name}>{bounds}</{name}>"
    return f"<analyst>{values}<constraints>{constraints}</constraints></analyst>"


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Opens the engine as the service's user, or as an analyst; one at a time."""
    (tmp_path / "config.xml").write_text("<clickhouse/>")
    all_ = ["GRANT ALL ON *.* WITH GRANT OPTION"]
    theirs = [f"GRANT {what}default.{name}" for what, name in GRANTS]
    opened: list[Client] = []

    def open_(*, as_analyst: bool) -> Client:
        for client in opened:
            client.close()
        default = of_user("default", "analyst", theirs) if as_analyst else of_user("default", "default", all_)
        (tmp_path / f"{as_analyst}.xml").write_text(
            f"<clickhouse><profiles><default/>{profile()}</profiles><quotas><default/></quotas>"
            f"<users>{default}{of_user('owner', 'default', all_)}</users></clickhouse>"
        )
        options = {"config-file": f"{tmp_path}/config.xml", "users_config": f"{tmp_path}/{as_analyst}.xml"}
        client = clickhouse_connect.get_client(interface="chdb", path=f"{tmp_path}/clickhouse", chdb_options=options)
        opened.append(client)
        return client

    yield open_
    for client in opened:
        client.close()


@pytest.fixture
async def analyst(connect: Connect) -> Client:
    """Looks at one execution of each status."""
    driver = Driver(lambda: connect(as_analyst=False))
    await create_schema(driver, migrating=True)
    for name in VIEWS:
        await driver.command(f"ALTER TABLE {name} MODIFY SQL SECURITY DEFINER DEFINER = owner")
    events = [event for status in Status for event in life(status, status)]
    await ClickHouseStore(driver).insert_events([event_row(record) for record in records(events)], "")
    await driver.close()
    return connect(as_analyst=True)


def refused(client: Client, sql: str, why: str) -> None:
    with pytest.raises(DatabaseError, match=why):
        client.query(sql)


async def test_analysts_read_the_views_and_nothing_else(analyst: Client) -> None:
    for name in VIEWS:
        assert analyst.query(f"SELECT * FROM {name}").row_count > 0  # noqa: S608 - our own names
    assert analyst.query("SELECT count(), uniqExact(status) FROM executions").first_row == (6, 6)
    names = {
        row[0]
        for row in analyst.query("SELECT DISTINCT table FROM system.columns WHERE database = 'default'").result_rows
    }
    assert names == {*VIEWS}
    for table in (
        "task_execution_transitions",
        "task_execution_events",
        "task_executions_open",
        "task_command_rejections",
    ):
        refused(analyst, f"SELECT 1 FROM {table}", "ACCESS_DENIED")  # noqa: S608 - our own names
    for function in (
        "url('http://127.0.0.1:1/', 'CSV', 'a String')", "file('/etc/passwd', 'LineAsString')",
        "remote('127.0.0.1', 'default.task_execution_events')",
    ):  # fmt: skip
        refused(analyst, f"SELECT * FROM {function}", "ACCESS_DENIED")  # noqa: S608 - our own words
    around = analyst.query("SELECT DISTINCT _table FROM merge('default', '.*')").result_rows
    assert {row[0] for row in around} <= {*VIEWS}


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO task_execution_transitions SELECT * FROM task_execution_transitions",
        "CREATE OR REPLACE VIEW executions AS SELECT 1 AS n",
        "CREATE TABLE mine (n UInt8) ENGINE = Memory",
        "ALTER TABLE executions MODIFY SQL SECURITY INVOKER",
        "DROP VIEW executions",
        "DROP TABLE task_execution_events",
        "TRUNCATE TABLE task_execution_events",
        "OPTIMIZE TABLE task_execution_events FINAL",
        "SYSTEM STOP MERGES task_execution_events",
    ],
)
async def test_analysts_change_nothing(analyst: Client, sql: str) -> None:
    refused(analyst, sql, "ACCESS_DENIED|READONLY")


async def test_limits_hold_through_the_views(analyst: Client) -> None:
    many = "SELECT executionId FROM executions CROSS JOIN numbers({}) AS n"
    refused(analyst, many.format(1_000_000), "TOO_MANY_ROWS_OR_BYTES")
    slow = f"SELECT count() FROM ({many.format(10**12)}) SETTINGS max_execution_time = 1"  # noqa: S608 - our own words
    refused(analyst, slow, "TIMEOUT_EXCEEDED")
    hungry = f"SELECT length(groupArray(executionId)) FROM ({many.format(10**7)})"  # noqa: S608 - our own words
    refused(analyst, f"{hungry} SETTINGS max_memory_usage = 50000000", "MEMORY_LIMIT_EXCEEDED")


@pytest.mark.parametrize("name", ["max_execution_time", "max_memory_usage", "max_result_rows", "max_result_bytes"])
async def test_a_limit_can_be_lowered_and_not_raised_nor_removed(analyst: Client, name: str) -> None:
    lower = 50 if name == "max_execution_time" else 999_999
    assert analyst.query(f"SELECT 1 SETTINGS {name} = {lower}").first_row == (1,)
    for value in (0, 10**12):
        refused(analyst, f"SELECT 1 SETTINGS {name} = {value}", "SETTING_CONSTRAINT_VIOLATION")


@pytest.mark.parametrize(
    "setting",
    [
        "readonly = 0",
        "max_concurrent_queries_for_user = 0",
        "max_threads = 64",
        "result_overflow_mode = 'break'",
        "timeout_overflow_mode = 'break'",
    ],
)
async def test_what_is_no_limit_to_choose_is_fixed(analyst: Client, setting: str) -> None:
    refused(analyst, f"SELECT 1 SETTINGS {setting}", "SETTING_CONSTRAINT_VIOLATION|READONLY")
    assert analyst.query("SELECT 1 SETTINGS max_block_size = 100").first_row == (1,)
