# ruff: noqa: S608, E501 - SQL of our own
"""The same executions where one would keep them first: one ClickHouse table read with FINAL, and PostgreSQL.

PostgreSQL is Debian's package `postgresql-15`, run here on a socket, with an index for every filter.
"""

import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from service.read_model.clickhouse.driver import Driver

Ask = Callable[[], Awaitable[Any]]

_ROUNDS: Final = 5
_BIN: Final = Path("/usr/lib/postgresql/15/bin")

_WHERE: Final = {
    "page: none": "1 = 1",
    "page: hot task": "{task} = 'acme:hot'",
    "page: FAILURE": "status = 'FAILURE'",
    "page: createdBy rare": "{creator} = 'rare'",
    "page: createdBy common": "{creator} = 'scheduler'",
    "page: tag common": "{nightly}",
    "page: rare creator + FAILURE": "{creator} = 'rare' AND status = 'FAILURE'",
    "page: tag + FAILURE": "{nightly} AND status = 'FAILURE'",
}
"""What each page of `bench.read_side` narrows by."""

_STATS: Final = {"stats: hot task": "{task} = 'acme:hot'", "stats: all": "1 = 1"}
_CLICKHOUSE: Final = {"task": "taskId", "creator": "createdBy", "nightly": "has(tags, 'nightly')"}
_POSTGRES: Final = {"task": "task_id", "creator": "created_by", "nightly": "tags @> ARRAY['nightly']"}
_STATE: Final = (
    # Of each execution the newest transition.
    "SELECT executionId, argMax(t.status, t.at) AS status, max(t.at) AS at, any(t.taskId) AS taskId, any(t.taskVersion) AS taskVersion, "
    "any(t.createdAt) AS createdAt, any(t.createdBy) AS createdBy, any(t.tags) AS tags FROM task_execution_transitions AS t FINAL "
    "WHERE toYYYYMMDD(t.createdAt) = {day} GROUP BY executionId"
)
_NAIVE: Final = """
CREATE TABLE naive (executionId UUID, status LowCardinality(String), at DateTime64(3, 'UTC'), taskId LowCardinality(String),
    taskVersion LowCardinality(String), createdAt DateTime64(3, 'UTC'), createdBy LowCardinality(String), tags Array(LowCardinality(String)))
ENGINE = ReplacingMergeTree(at) ORDER BY (createdAt, executionId)
"""
_TABLE: Final = """
CREATE TABLE executions (id uuid PRIMARY KEY, status text, at timestamptz, task_id text, task_version text,
    created_at timestamptz, created_by text, tags text[])
"""
_INDEXES: Final = (
    "(created_at DESC, id DESC)", "(task_id, created_at DESC)", "(status, created_at DESC)", "(created_by, created_at DESC)", "USING gin (tags)",
)  # fmt: skip


async def _days(driver: Driver) -> list[int]:
    found = await driver.query(
        "SELECT DISTINCT toYYYYMMDD(at) AS day FROM task_execution_transitions WHERE status = 'PENDING' ORDER BY day"
    )
    return [row["day"] for row in found]


async def naive_asks(driver: Driver) -> dict[str, Ask]:
    """The queries on one table with a row for each execution, merged; each asks for the total, then for the page."""
    await driver.command(_NAIVE)
    for day in await _days(driver):
        await driver.command(f"INSERT INTO naive {_STATE.format(day=day)}")
    await driver.command("OPTIMIZE TABLE naive FINAL")

    def page(where: str) -> Ask:
        async def ask() -> None:
            await driver.query(f"SELECT count() AS n FROM naive FINAL WHERE {where}")
            await driver.query(
                f"SELECT * FROM naive FINAL WHERE {where} ORDER BY createdAt DESC, executionId DESC LIMIT 20"
            )

        return ask

    def stats(where: str) -> Ask:
        return lambda: driver.query(f"SELECT status, count() AS n FROM naive FINAL WHERE {where} GROUP BY status")

    return {name: page(where.format(**_CLICKHOUSE)) for name, where in _WHERE.items()} | {
        name: stats(where.format(**_CLICKHOUSE)) for name, where in _STATS.items()
    }


async def postgres_milliseconds(driver: Driver, working: Path) -> dict[str, float]:
    """Wall time of each query by PostgreSQL's own word, medians; nothing if it is not installed."""
    if not _BIN.exists():
        return {}
    with _postgres(working) as run:
        run(_TABLE)
        for day in await _days(driver):
            file = working / f"{day}.tsv"
            tags = "concat('{', arrayStringConcat(arrayMap(tag -> concat('\"', tag, '\"'), tags), ','), '}') AS tags"
            await driver.command(
                f"INSERT INTO FUNCTION file('{file}', 'TSV') SELECT * REPLACE({tags}) FROM ({_STATE.format(day=day)})"
            )
            file.chmod(0o644)
            run(f"COPY executions FROM '{file}'")
            file.unlink()
        for index in _INDEXES:
            run(f"CREATE INDEX ON executions {index}")
        run("VACUUM ANALYZE executions")
        asked: dict[str, list[str]] = {
            name: [
                f"SELECT count(*) FROM executions WHERE {where.format(**_POSTGRES)}",
                f"SELECT * FROM executions WHERE {where.format(**_POSTGRES)} ORDER BY created_at DESC, id DESC LIMIT 20",
            ]
            for name, where in _WHERE.items()
        }
        asked |= {
            name: [f"SELECT status, count(*) FROM executions WHERE {where.format(**_POSTGRES)} GROUP BY status"]
            for name, where in _STATS.items()
        }
        return {name: round(sum(_took(run, sql) for sql in each), 1) for name, each in asked.items()}


def _took(run: Callable[[str], str], sql: str) -> float:
    def once() -> float:
        (plan,) = json.loads(run(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}"))
        return float(plan["Planning Time"] + plan["Execution Time"])

    once()
    return statistics.median(once() for _ in range(_ROUNDS))


@contextmanager
def _postgres(working: Path) -> Iterator[Callable[[str], str]]:
    """A cluster of its own on a socket, with memory as one would give it here."""
    data = working / "postgres"
    data.mkdir()
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(data, "postgres")
        for above in (working, *working.parents[:1]):
            above.chmod(above.stat().st_mode | 0o055)
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def call(*command: str) -> str:
        return subprocess.run([*as_postgres, *command], check=True, capture_output=True, text=True).stdout

    call(f"{_BIN}/initdb", "--pgdata", str(data), "--auth=trust", "--no-sync", "--encoding=UTF8")
    options = f"-c listen_addresses= -c unix_socket_directories={data} -c shared_buffers=2GB -c work_mem=256MB -c maintenance_work_mem=1GB -c fsync=off"
    call(f"{_BIN}/pg_ctl", "--pgdata", str(data), "--wait", "--log", str(data / "log"), "-o", options, "start")
    try:
        yield lambda sql: call(
            "psql", "--host", str(data), "--dbname", "postgres", "--no-align", "--tuples-only", "--command", sql
        )
    finally:
        call(f"{_BIN}/pg_ctl", "--pgdata", str(data), "--wait", "--mode", "fast", "stop")
