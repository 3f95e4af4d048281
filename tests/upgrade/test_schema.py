"""Tables that an earlier schema made are brought to ours, wherever the process that does it dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from service.kafka.records import Record
from service.ports.errors import StoreSetupError
from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow
from service.projection.rows import event_row, rejection_row
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import ListTaskCommandRejections, check
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.migrations import needs_migration, table_comments
from service.read_model.clickhouse.schema import SCHEMA_VERSION, TABLES, VIEWS, create_schema
from service.read_model.clickhouse.store import INSERTED_COLUMNS, REJECTION_COLUMNS, ClickHouseStore
from tests.engines import ENGINES, empty_database
from tests.queries.lives import asked
from tests.upgrade.recorded import VERSION_1, VERSION_2, VERSION_3, answers, kept_by_version_3, records

POSITION: Final = PartitionPosition("task-execution.events", 0, 9, 10, 5)


@pytest.fixture(params=[VERSION_1, VERSION_2, VERSION_3], ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest_asyncio.fixture(params=ENGINES)
async def driver(request: pytest.FixtureRequest, version: Path, tmp_path: Path) -> AsyncIterator[Driver]:
    """The tables of an earlier schema, full, of the engine in process and of a server."""
    async with empty_database(request.param, tmp_path, lambda: request.getfixturevalue("clickhouse_server")) as driver:
        await make_tables(driver, version)
        yield driver


async def make_tables(driver: Driver, version: Path) -> None:
    comment = f"task-execution schema {version.name.removeprefix('version_')}"
    script = (version / "schema.sql").read_text(encoding="utf-8").format(version=comment)
    for table in await driver.query("SELECT name FROM system.tables WHERE database = currentDatabase()"):
        await driver.command(f"DROP TABLE IF EXISTS {table['name']} SYNC")
    for statement in filter(str.strip, script.split(";\n")):
        await driver.command(statement)
    store = ClickHouseStore(driver)
    if version is VERSION_3:
        rows_3 = [of_version_3(record) for record in records("events")]
        await driver.insert("task_execution_events_in", INSERTED_COLUMNS, rows_3)
    else:  # they had one column less, and kept the whole body
        columns = [name for name in INSERTED_COLUMNS if name != "previousStatus"]
        rows = []
        for record in records("events"):
            row = event_row(record)._replace(payload=(record.value or b"").decode())._asdict()
            del row["previous_status"]
            rows.append([*row.values()])
        await driver.insert("task_execution_events", columns, rows)
    rejections = [rejection_row(record)[:-1] for record in records("rejections")]  # nor the refused record
    await driver.insert("task_command_rejections", REJECTION_COLUMNS[:-1], rejections)
    await store.write_positions([POSITION])


def of_version_3(record: Record) -> EventRow:
    return event_row(record)._replace(payload=json.dumps(kept_by_version_3(json.loads(record.value or b""))))


async def assert_whole(driver: Driver) -> None:
    """Every answer is as it was recorded, nothing is twice or left over, and there is room for more events."""
    queries = TaskExecutionQueries(ClickHouseStore(driver), partitions=1)
    recorded = answers()
    for answer in recorded.values():
        found = await queries.get(answer["id"])
        assert found.model_dump(mode="json", exclude_none=True, exclude={"as_of", "lag"}) == answer
    page = await queries.list(asked(page_size=100))
    assert {item.id for item in page.items} == {answer["id"] for answer in recorded.values()}
    assert page.total == len(recorded) == sum(stats.total for stats in await queries.stats_by_task())
    (refused,) = (await queries.rejections(check(ListTaskCommandRejections))).items
    assert (await queries.rejection(refused.position)).record is None
    assert await ClickHouseStore(driver).positions() == [POSITION]
    tables = await driver.query("SELECT name, comment FROM system.tables WHERE database = currentDatabase()")
    comments = {table["name"]: table["comment"] for table in tables if table["name"] not in VIEWS}
    assert comments == dict.fromkeys(TABLES, SCHEMA_VERSION)
    assert len(tables) == len(TABLES) + len(VIEWS)
    assert await driver.query("SELECT count() AS n FROM executions") == [{"n": page.total}]
    types = await driver.query(
        "SELECT DISTINCT type FROM system.columns WHERE database = currentDatabase() AND name = 'sequence'"
    )
    assert types == [{"type": "UInt32"}]


async def test_every_answer_is_the_same_after_the_upgrade(driver: Driver) -> None:
    await create_schema(driver, migrating=True)
    await assert_whole(driver)
    await create_schema(driver, migrating=False)


async def test_only_the_projector_migrates(driver: Driver) -> None:
    with pytest.raises(StoreSetupError, match="Start the projector first"):
        await create_schema(driver, migrating=False)


class Killed(Exception):  # noqa: N818 - what happens to a process
    """The process died."""


def dying(driver: Driver, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """Let the driver die when so many statements were run."""
    real, ran = driver.command, count()

    async def command(sql: str) -> None:
        if next(ran) == before:
            raise Killed
        await real(sql)

    monkeypatch.setattr(driver, "command", command)


@pytest.mark.parametrize("driver", ["chdb"], indirect=True)  # the order of the steps is the same over HTTP
async def test_killed_before_any_statement_it_is_begun_again(driver: Driver, version: Path) -> None:
    for before in count():
        with pytest.MonkeyPatch.context() as patch:
            dying(driver, patch, before)
            with suppress(Killed):
                await create_schema(driver, migrating=True)
        migrating = needs_migration(await table_comments(driver))
        if migrating:
            with pytest.MonkeyPatch.context() as patch:  # an API that starts now changes nothing
                dying(driver, patch, 0)
                with pytest.raises((StoreSetupError, Killed)):
                    await create_schema(driver, migrating=False)
        await create_schema(driver, migrating=True)
        await assert_whole(driver)
        if not migrating:  # what is left to do is what every start does
            break
        await make_tables(driver, version)
    assert before > (12 if version is VERSION_3 else 15)


async def test_two_that_migrate_at_once_lose_nothing(driver: Driver) -> None:
    both = (create_schema(driver, migrating=True) for _ in range(2))
    await asyncio.gather(*both, return_exceptions=True)
    await create_schema(driver, migrating=True)
    await assert_whole(driver)


async def test_an_execution_can_have_more_than_255_events(driver: Driver) -> None:
    await create_schema(driver, migrating=True)
    store = ClickHouseStore(driver)
    row = event_row(next(records("events")))
    await store.insert_events([row._replace(sequence=sequence) for sequence in (255, 256, 70_000)], "")
    assert [event.sequence for event in await store.events(str(row.execution_id))][-3:] == [255, 256, 70_000]
