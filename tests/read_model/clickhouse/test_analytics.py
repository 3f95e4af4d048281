"""What docs/analytics.md says is so: its examples are run by an analyst, and its tables are those of the views."""

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from service.contracts.events import Event
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.projection.rows import event_row
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import VIEWS
from service.read_model.clickhouse.store import ClickHouseStore
from tests.clickhouse_server import PASSWORD, USER
from tests.queries.lives import life, records
from tests.read_model.clickhouse.conftest import AsAnalyst

PAGE: Final = (Path(__file__).parents[3] / "docs/analytics.md").read_text(encoding="utf-8")
EXAMPLES: Final = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^###).)*?^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COLUMNS: Final = {
    "How tasks are doing": "taskId total running successRate medianSeconds lastSuccessAt lastFailureAt",
    "The health of tasks in the last week": "taskId total failures successRate p95Seconds",
    "A trend by the hour": "hour created failed meanSeconds",
    "A report on an SLA": "day taskId created inTime rate",
    "An SLA with a limit of its own": "taskId inTime undecided missed rate",
    "The slowest tasks": "taskId runs medianSeconds p95Seconds hours",
    "What has been running for longer than usual": "executionId taskId runningSeconds p95Seconds",
    "Failures by cause": "fingerprint failures tasks lastSeen example",
    "Causes that are new since yesterday": "fingerprint failures firstSeen example",
    "Retries": "taskId failures recovered medianSeconds",
    "Queue times by the hour of the day": "hourOfDay started medianSeconds p95Seconds",
    "Week over week": "taskId thisWeek lastWeek moreFailures slowerBySeconds",
    "Versions of a task side by side": "taskVersion total failures medianSeconds",
    "Who runs what, by tag": "createdBy tag total hours",
}
"""Of each example, the columns of its answer."""

TASKS: Final = ("sales:daily_report", "etl:load")
MINUTE: Final = timedelta(minutes=1)


def workload() -> Iterator[Event]:
    """Of 13 days up to now: a run of each task every two hours, of which some fail; the newest fail in a new way."""
    rng = random.Random(3)  # noqa: S311 - a seeded model
    now = Timestamp.now(UTC)
    for number in range(13 * 12):
        for task in TASKS:
            status = rng.choices([*Status], weights=[1, 3, 80, 10, 3, 3])[0] if number else Status.FAILURE
            yield from life(
                (task, number), status, at=Timestamp.of(now - MINUTE - number * timedelta(hours=2)), task_id=task,
                task_version=f"1.{number % 2}.0", created_by=rng.choice(("ana", "bo")), tags=("nightly",),
                took=rng.randrange(1, 90) * MINUTE if number > 2 else timedelta(seconds=9),
                why=f"lost node-{number} after 30 s" if number else "NoSuchKey: s3://lake/raw/7.parquet",
            )  # fmt: skip


def test_every_example_is_run() -> None:
    assert PAGE.count("```sql") == len(EXAMPLES)
    assert EXAMPLES.keys() == COLUMNS.keys()


async def test_every_example_answers_what_it_says(as_analyst: AsAnalyst) -> None:
    analyst = await as_analyst(workload())
    answers = {}
    for name, sql in EXAMPLES.items():
        answer = analyst.query(sql)
        assert answer.column_names == tuple(COLUMNS[name].split()), name
        answers[name] = [*answer.named_results()]
        assert answers[name], name
        assert all(any(row[column] is not None for row in answers[name]) for column in answer.column_names), name
    assert sum(row["total"] for row in answers["How tasks are doing"]) == 2 * 13 * 12
    causes = {row["fingerprint"] for row in answers["Failures by cause"]}
    assert causes == {"lost node-<n> after <n> s", "NoSuchKey: <path>"}
    assert [row["fingerprint"] for row in answers["Causes that are new since yesterday"]] == ["NoSuchKey: <path>"]
    for row in answers["A report on an SLA"]:
        assert 0 <= row["inTime"] <= row["created"] <= 12
    for row in answers["An SLA with a limit of its own"]:
        assert row["rate"] == row["inTime"] / (row["inTime"] + row["missed"])
    for row in answers["Retries"]:
        assert 0 < row["recovered"] < row["failures"]
    assert {row["lastWeek"] for row in answers["Week over week"]} == {6 * 12}


async def test_the_tables_are_those_of_the_views(driver: Driver) -> None:
    for name in VIEWS:
        section = PAGE.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        told = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
        where = "WHERE database = currentDatabase() AND table = {name:String}"
        sql = f"SELECT name, type, comment FROM system.columns {where}"  # noqa: S608 - our own words
        found = await driver.query(sql, {"name": name})
        plain = [
            re.sub(r"LowCardinality\((\w+)\)", r"\1", re.sub(r"Enum8\(.*\)", "Enum8", row["type"])) for row in found
        ]
        assert told == [(row["name"], type_, row["comment"]) for row, type_ in zip(found, plain, strict=True)], name


@pytest.mark.parametrize("driver", ["server"], indirect=True)
@pytest.mark.parametrize(
    ("language", "program"),
    [("sh", ["bash", "-euo", "pipefail", "-c"]), ("python", [sys.executable, "-c"])],
)
async def test_the_ways_to_connect_work(
    driver: Driver, clickhouse_server: str, language: str, program: list[str]
) -> None:
    await ClickHouseStore(driver).insert_events([event_row(record) for record in records(workload())], "")
    ((database,),) = [row.values() for row in await driver.query("SELECT currentDatabase()")]
    environment = os.environ | {
        "CLICKHOUSE_URL": f"http://127.0.0.1:{urlsplit(clickhouse_server).port}",
        "CLICKHOUSE_DATABASE": database,
        "CLICKHOUSE_USER": USER,
        "CLICKHOUSE_PASSWORD": PASSWORD,
        "CLICKHOUSE_DSN": f"{clickhouse_server}/{database}",
    }
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    ran = await asyncio.to_thread(
        subprocess.run, [*program, block], env=environment, check=False, timeout=60, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    if language == "sh":
        assert ran.stdout.splitlines()[0] == '"taskId","total","successRate"'
        assert [line.split(",")[:2] for line in ran.stdout.splitlines()[1:]] == [
            ['"etl:load"', "156"],
            ['"sales:daily_report"', "156"],
        ]
    else:
        assert re.fullmatch(r"\d+ lost node-<n> after <n> s\n1 NoSuchKey: <path>\n", ran.stdout)
