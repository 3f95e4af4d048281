"""What queries cost at scale: `python -m bench.read_side --executions N [--json]`.

The tables are filled by ClickHouse itself, then every query is asked through `TaskExecutionQueries`, and the analysts'
views in SQL (`--only sql`), in three states:
merged; live, 2,000 events being inserted before each query; and with 60 fresh parts that are not merged. CPU time is
that of the whole process, the engine's threads and our own Python.
"""

import asyncio
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from bench.read_peers import naive_asks, postgres_milliseconds
from bench.stored_runs import TABLES, filled
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import GetTaskExecutionFailures, ListTaskExecutions, check
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore

_LIVE: Final = 700
"""Executions in a live insert: about 2,000 events."""
_FRESH: Final = 60
_ROUNDS: Final = 9

Ask = Callable[[], Awaitable[Any]]


def main(
    *,
    executions: Annotated[int, typer.Option(help="How many are stored.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each query.")] = False,
    directory: Annotated[Path | None, typer.Option(help="Where to work; a temporary directory if not given.")] = None,
    only: Annotated[str, typer.Option(help="Only queries whose name has this in it.")] = "",
    peers: Annotated[bool, typer.Option(help="Beside one table read with FINAL, and PostgreSQL 15.")] = False,
) -> None:
    """Measure every query."""
    with tempfile.TemporaryDirectory(dir=directory) as working:
        rows = asyncio.run(_measured(Path(working), executions, only, peers=peers))
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*max(rows, key=len), title=f"{executions:,} executions; milliseconds, median of {_ROUNDS}")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


async def _measured(working: Path, executions: int, only: str, *, peers: bool) -> list[dict[str, Any]]:
    driver = connect(f"chdb://{working}/clickhouse", memory_bytes=8 << 30)
    try:
        runs, store = await filled(driver, executions)
        size = await _size(driver, executions)
        asks = {name: ask for name, ask in ((await _asks(store, executions)) | _views(driver)).items() if only in name}
        merged = {name: await _cost(ask) for name, ask in asks.items()}
        naive, postgres = {}, {}
        if peers:
            naive = {name: await _cost(ask) for name, ask in (await naive_asks(driver)).items() if name in asks}
            postgres = await postgres_milliseconds(driver, working)
        live = {name: await _cost(ask, lambda: runs.more(_LIVE)) for name, ask in asks.items()}
        for table in TABLES:
            await driver.command(f"SYSTEM STOP MERGES {table}")
        for _ in range(_FRESH):
            await runs.more(_LIVE)
        fresh = {name: await _cost(ask) for name, ask in asks.items()}
    finally:
        await driver.close()
    states = {"merged": merged, "live": live, "fresh": fresh}
    return [
        {"query": name}
        | {f"{state}_{what}_ms": cost[name][what] for state, cost in states.items() for what in ("cpu", "wall")}
        | {f"naive_{what}_ms": naive[name][what] for what in ("cpu", "wall") if name in naive}
        | ({"postgres_wall_ms": postgres[name]} if name in postgres else {})
        for name in asks
    ] + [size]


async def _asks(store: ClickHouseStore, executions: int) -> dict[str, Ask]:
    queries = TaskExecutionQueries(store, 8)

    def page(**given: Any) -> Ask:  # noqa: ANN401 - what requests take
        request = check(ListTaskExecutions, **given)
        return lambda: queries.list(request)

    some = (await queries.list(check(ListTaskExecutions, page_number=max(1, executions // 40)))).items[0].id
    deep = min(1_000, executions // 20)
    cursor = (await queries.list(check(ListTaskExecutions, page_number=deep))).next_cursor
    return {
        "get": lambda: queries.get(some),
        "page: none": page(),
        "page: none, counts": page(counts=True),
        "page: hot task": page(task_id="acme:hot"),
        "page: FAILURE": page(status=["FAILURE"]),
        "page: RUNNING": page(status=["RUNNING"]),
        "page: createdBy rare": page(created_by="rare"),
        "page: createdBy common": page(created_by="scheduler"),
        "page: tag common": page(tag=["nightly"]),
        "page: rare creator + FAILURE": page(created_by="rare", status=["FAILURE"]),
        "page: rare tag + creator": page(tag=["rare"], created_by="scheduler"),
        "page: tag + FAILURE": page(tag=["nightly"], status=["FAILURE"]),
        "page 1,000": page(page_number=deep),
        "page 1,000 by cursor": page(cursor=cursor),
        "last page": page(page_number=executions // 20),
        "a page of 1,000": page(page_size=1_000),
        "page: last 24 h": page(created_from="24h"),
        "page: id begins": page(id_prefix=some[:8]),
        "page: id has": page(text=some[:8]),
        "page: ran 1 h": page(min_duration="1h"),
        "page: longest": page(sort="duration"),
        "page: longest of a hot task": page(sort="duration", task_id="acme:hot"),
        "failures": lambda: queries.failures(check(GetTaskExecutionFailures)),
        "page: fingerprint": page(fingerprint="worker-<n> lost its connection to <n> after <n> s"),
        "stats: hot task": lambda: queries.stats("acme:hot"),
        "stats: cold task": lambda: queries.stats("team3:task400"),
        "stats: all": queries.stats,
        "stats: hot task, times": lambda: queries.stats("acme:hot", times=True),
        "stats: hot task, times per version": lambda: queries.stats("acme:hot", times=True, group_by="taskVersion"),
        "stats: hot task, exact times": lambda: queries.stats("acme:hot", times=True, exact=True),
        "stats: all, times": lambda: queries.stats(times=True),
        "stats: all, exact times": lambda: queries.stats(times=True, exact=True),
        "stats: hot task by hour": lambda: queries.stats("acme:hot", group_by="hour"),
        "stats: all by hour, last 7 days": lambda: queries.stats(group_by="hour", created_from="7d"),
    }


def _views(driver: Driver) -> dict[str, Ask]:
    """What analysts ask in SQL."""

    def sql(text: str) -> Ask:
        return lambda: driver.query(text)

    return {
        "sql: executions": sql("SELECT count() FROM executions"),
        "sql: executions, hot task": sql("SELECT count() FROM executions WHERE taskId = 'acme:hot'"),
        "sql: executions, created in 24 h": sql(
            "SELECT count() FROM executions WHERE createdAt >= now() - INTERVAL 1 DAY"
        ),
        "sql: executions, ended in 24 h": sql(
            "SELECT count() FROM executions WHERE completedAt >= now() - INTERVAL 1 DAY"
        ),
        "sql: executions, RUNNING": sql("SELECT count() FROM executions WHERE status = 'RUNNING'"),
        "sql: executions_hourly, 24 h": sql(
            "SELECT hour, sum(total), sum(failure) FROM executions_hourly "
            "WHERE hour >= now() - INTERVAL 1 DAY GROUP BY hour"
        ),
        "sql: task_health": sql("SELECT taskId, successRate, runMsP50, runMsP95 FROM task_health"),
        "sql: task_health, hot task": sql("SELECT * FROM task_health WHERE taskId = 'acme:hot'"),
        "sql: sla, 7 days": sql(
            "SELECT day, sum(total), sum(within1h) FROM sla WHERE day >= toDate(now('UTC')) - 7 GROUP BY day"
        ),
        "sql: failures by cause": sql("SELECT fingerprint, count() FROM failures GROUP BY fingerprint"),
        "sql: failures by cause, 24 h": sql(
            "SELECT fingerprint, count() FROM failures WHERE failedAt >= now() - INTERVAL 1 DAY GROUP BY fingerprint"
        ),
    }


async def _cost(ask: Ask, before: Ask | None = None) -> dict[str, float]:
    """Medians, in milliseconds."""
    cpu: list[float] = []
    wall: list[float] = []
    await ask()
    for _ in range(_ROUNDS):
        if before:
            await before()
        used, began = _cpu_seconds(), time.perf_counter()
        await ask()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((_cpu_seconds() - used) * 1000)
    return {"cpu": round(statistics.median(cpu), 1), "wall": round(statistics.median(wall), 1)}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _size(driver: Driver, executions: int) -> dict[str, Any]:
    rows = await driver.query(
        "SELECT table, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = currentDatabase() "
        "GROUP BY table ORDER BY table"
    )
    sizes = {row["table"]: round(row["bytes"] / executions, 1) for row in rows}
    return {"query": "bytes per execution", "all": round(sum(sizes.values()), 1), **sizes}


if __name__ == "__main__":
    typer.run(main)
