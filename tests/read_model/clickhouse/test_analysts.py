"""The analysts' role reads the views and no payload, within its limits: enforced by the engine (tests/analyst.py)."""

import pytest
import pytest_asyncio
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from service.contracts.status import Status
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import VIEWS
from tests.analyst import GRANTED, SQL
from tests.queries.lives import life
from tests.read_model.clickhouse.conftest import AsAnalyst

BELOW = ("task_execution_transitions", "task_executions_open")
"""What the views are made of: no payloads."""


def test_the_role_may_read_every_view_and_that_is_all() -> None:
    assert tuple(GRANTED) == (*VIEWS, *BELOW)
    assert SQL.count("GRANT") == len(GRANTED)


async def test_clickhouse_understands_every_statement(driver: Driver) -> None:
    for statement in filter(str.strip, SQL.split(";\n")):
        assert await driver.query(f"EXPLAIN AST {statement}", {"password": "it's"})


@pytest_asyncio.fixture
async def analyst(as_analyst: AsAnalyst) -> Client:
    """Looks at one execution of each status."""
    return await as_analyst(event for status in Status for event in life(status, status))


def refused(client: Client, sql: str, why: str) -> None:
    with pytest.raises(DatabaseError, match=why):
        client.query(sql)


async def test_analysts_read_the_views_and_no_payload(analyst: Client) -> None:
    for name in VIEWS:
        assert analyst.query(f"SELECT * FROM {name}").row_count > 0  # noqa: S608 - our own names
    assert analyst.query("SELECT count(), uniqExact(status) FROM executions").first_row == (6, 6)
    names = {
        row[0]
        for row in analyst.query("SELECT DISTINCT table FROM system.columns WHERE database = 'default'").result_rows
    }
    assert names == {*VIEWS, *BELOW}
    for table in ("task_execution_events", "task_command_rejections", "projector_position"):
        refused(analyst, f"SELECT 1 FROM {table}", "ACCESS_DENIED")  # noqa: S608 - our own names
    for function in (
        "url('http://127.0.0.1:1/', 'CSV', 'a String')", "file('/etc/passwd', 'LineAsString')",
        "remote('127.0.0.1', 'default.task_execution_events')",
    ):  # fmt: skip
        refused(analyst, f"SELECT * FROM {function}", "ACCESS_DENIED")  # noqa: S608 - our own words
    around = analyst.query("SELECT DISTINCT _table FROM merge('default', '.*')").result_rows
    assert {row[0] for row in around} <= {*VIEWS, *BELOW}


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
