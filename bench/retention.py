"""What it costs to drop the payloads of finished executions: `python -m bench.retention --executions N [--mutation]`.

The tables are filled by ClickHouse itself and merged. Then the payloads of one day of four weeks are dropped, as the
projector does it or, to compare, by a mutation. CPU time is that of the whole process.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bench.stored_runs import DAYS, StoredRuns
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.dropping_payloads import HAS_PAYLOADS, WITHOUT_PAYLOADS
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.statements import ENDED, LIFE
from service.read_model.clickhouse.store import ClickHouseStore

_DAY_MS: Final = 86_400_000
_EVENTS: Final = "task_execution_events"
_MERGE: Final = f"OPTIMIZE TABLE {_EVENTS} FINAL"


def main(
    *,
    executions: Annotated[int, typer.Option(help="How many are stored.")] = 1_000_000,
    days: Annotated[int, typer.Option(help="How many days are due.")] = 1,
    mutation: Annotated[bool, typer.Option("--mutation", help="By ALTER TABLE UPDATE.")] = False,
) -> None:
    """Measure one drop, and the merge after it."""
    with tempfile.TemporaryDirectory() as working:
        asyncio.run(_measured(Path(working), executions, days, mutation=mutation))


async def _measured(working: Path, executions: int, days: int, *, mutation: bool) -> None:
    driver = connect(f"chdb://{working}/clickhouse", memory_bytes=6 << 30)
    try:
        await create_schema(driver, migrating=True)
        now = int(time.time() * 1000)
        await StoredRuns(driver, executions, now).fill()
        for table in (_EVENTS, "task_execution_transitions"):
            await driver.command(f"OPTIMIZE TABLE {table} FINAL")
        until = now - (DAYS - days) * _DAY_MS
        print(f"{'before':12} {await _size(driver)}")
        await _cost("drop", driver, driver.maintain(_mutation(until)) if mutation else _dropped(driver, until))
        await _cost("merge", driver, driver.command(_MERGE))
    finally:
        await driver.close()


async def _dropped(driver: Driver, until: int) -> None:
    print(f"{'executions':12} {await ClickHouseStore(driver).drop_payloads(0, until)}")


def _mutation(until: int) -> str:
    ended = (
        f"SELECT {LIFE} FROM task_execution_transitions WHERE {ENDED} AND at < fromUnixTimestamp64Milli({until}, 'UTC')"  # noqa: S608 - our own words
    )
    return f"ALTER TABLE {_EVENTS} UPDATE payload = {WITHOUT_PAYLOADS} WHERE {LIFE} IN ({ended}) AND ({HAS_PAYLOADS})"


async def _cost(what: str, driver: Driver, work: Awaitable[Any]) -> None:
    began, used = time.perf_counter(), _cpu_seconds()
    await work
    cpu, wall = _cpu_seconds() - used, time.perf_counter() - began
    print(f"{what:12} {cpu:.2f} s of CPU, {wall:.2f} s; then {await _size(driver)}")


async def _size(driver: Driver) -> str:
    sql = f"SELECT sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts WHERE active AND table = '{_EVENTS}'"  # noqa: S608 - our own words
    (row,) = await driver.query(sql)
    return f"{row['bytes'] / 1e6:.1f} MB of events in {row['parts']} parts"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
