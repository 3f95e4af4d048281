import pytest

from service.ports.errors import StoreSetupError
from service.ports.positions import PartitionPosition
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import TABLES, VIEW_MARK, VIEWS, create_schema
from service.read_model.clickhouse.store import ClickHouseStore


async def test_creating_the_schema_again_changes_nothing(driver: Driver, store: ClickHouseStore) -> None:
    await store.write_positions([PartitionPosition("t", 0, 4, 5, 1)])
    await create_schema(driver, migrating=True)
    assert await store.positions() == [PartitionPosition("t", 0, 4, 5, 1)]
    tables = await driver.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert {table["name"] for table in tables} == {*TABLES, *VIEWS}


async def test_what_is_missing_is_made(driver: Driver) -> None:
    await driver.command("DROP TABLE task_command_rejections")
    await create_schema(driver, migrating=True)
    assert await driver.query("SELECT count() AS n FROM task_command_rejections") == [{"n": 0}]


async def test_the_projector_brings_views_up_to_date_and_nobody_else(driver: Driver) -> None:
    await driver.command("DROP VIEW sla")
    await driver.command(
        f"CREATE OR REPLACE VIEW failures AS SELECT 1 AS older COMMENT '{VIEW_MARK} of an older version'"
    )
    await create_schema(driver, migrating=False)
    assert await driver.query("SELECT * FROM failures") == [{"older": 1}]
    await create_schema(driver, migrating=True)
    for name in VIEWS:
        assert await driver.query(f"SELECT * FROM {name}") == []  # noqa: S608 - our own names


@pytest.mark.parametrize(
    "made", ["TABLE sla (n UInt8) ENGINE = MergeTree ORDER BY n COMMENT 'ours'", "VIEW sla AS SELECT 7 AS n"]
)
async def test_what_somebody_else_made_under_the_name_of_a_view_is_left_alone(driver: Driver, made: str) -> None:
    await driver.command("DROP VIEW sla")
    await driver.command(f"CREATE {made}")
    if made.startswith("TABLE"):
        await driver.command("INSERT INTO sla VALUES (7)")
    with pytest.raises(StoreSetupError, match=r"of the names sla that the service did not make.*rename yours"):
        await create_schema(driver, migrating=True)
    assert await driver.query("SELECT n FROM sla") == [{"n": 7}]
    await create_schema(driver, migrating=False)


@pytest.mark.parametrize("version", ["task-execution schema 0", "task-execution schema 5", ""])
async def test_tables_of_another_version_are_refused_with_what_to_do(driver: Driver, version: str) -> None:
    await driver.command(f"ALTER TABLE task_execution_transitions MODIFY COMMENT '{version}'")
    with pytest.raises(StoreSetupError, match=rf"task_execution_transitions \('{version}'\).*drop"):
        await create_schema(driver, migrating=True)


async def test_the_farthest_position_counts_and_its_newest_as_of(driver: Driver, store: ClickHouseStore) -> None:
    for offset, end, as_of in [(-1, 0, 10), (7, 9, 20), (7, 12, 30), (5, 9, 25)]:
        await store.write_positions([PartitionPosition("t", 3, offset, end, as_of)])
    await store.write_positions([PartitionPosition("t", 4, -1, 0, 5)])
    found = {position.partition: position for position in await store.positions()}
    assert found == {3: PartitionPosition("t", 3, 7, 12, 30), 4: PartitionPosition("t", 4, -1, 0, 5)}
    assert (found[3].lag, found[4].lag) == (4, 0)
    await driver.command("OPTIMIZE TABLE projector_position FINAL")
    assert {position.partition: position for position in await store.positions()} == found


async def test_tables_that_are_there_get_the_settings_too(driver: Driver) -> None:
    """Without it, the engine in process has a hundred threads more once a hundred parts were merged."""
    wanted = "concurrent_part_removal_threshold"
    tables = [name for name in TABLES if not name.endswith(("_filler", "_in"))]
    for name in tables:
        await driver.command(f"ALTER TABLE {name} RESET SETTING {wanted}")
    await create_schema(driver, migrating=True)
    found = await driver.query(
        f"SELECT name FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '%{wanted}%'"  # noqa: S608 - our own words
    )
    assert {table["name"] for table in found} == {*tables}
