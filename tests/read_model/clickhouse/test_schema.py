import pytest

from service.read_model.clickhouse.driver import ConnectedClickHouse
from service.read_model.clickhouse.errors import ClickHouseSetupError
from service.read_model.clickhouse.positions import PartitionPosition, read_positions, write_positions
from service.read_model.clickhouse.schema import TABLES, create_schema


async def test_creating_the_schema_again_changes_nothing(clickhouse: ConnectedClickHouse) -> None:
    await write_positions(clickhouse, [PartitionPosition("t", 0, 4, 5, 1)])
    await create_schema(clickhouse)
    assert await read_positions(clickhouse) == [PartitionPosition("t", 0, 4, 5, 1)]
    tables = await clickhouse.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert {table["name"] for table in tables} == set(TABLES)


async def test_what_is_missing_is_made(clickhouse: ConnectedClickHouse) -> None:
    await clickhouse.command("DROP TABLE task_command_rejections")
    await create_schema(clickhouse)
    assert await clickhouse.query("SELECT count() AS n FROM task_command_rejections") == [{"n": 0}]


async def test_tables_of_another_version_are_refused_with_what_to_do(clickhouse: ConnectedClickHouse) -> None:
    await clickhouse.command("ALTER TABLE task_executions MODIFY COMMENT 'task-execution schema 0'")
    with pytest.raises(ClickHouseSetupError, match=r"task_executions \('task-execution schema 0'\).*drop"):
        await create_schema(clickhouse)


async def test_the_farthest_position_counts_and_its_newest_check_in(clickhouse: ConnectedClickHouse) -> None:
    for offset, end, as_of in [(-1, 0, 10), (7, 9, 20), (7, 12, 30), (5, 9, 25)]:
        await write_positions(clickhouse, [PartitionPosition("t", 3, offset, end, as_of)])
    await write_positions(clickhouse, [PartitionPosition("t", 4, -1, 0, 5)])
    found = {position.partition: position for position in await read_positions(clickhouse)}
    assert found == {3: PartitionPosition("t", 3, 7, 12, 30), 4: PartitionPosition("t", 4, -1, 0, 5)}
    assert (found[3].lag, found[4].lag) == (4, 0)
    await clickhouse.command("OPTIMIZE TABLE projector_position FINAL")
    assert {position.partition: position for position in await read_positions(clickhouse)} == found
