"""What only the tables can show: mistakes in our own SQL stay mistakes."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore


async def test_missing_tables_are_a_mistake_and_no_outage(driver: Driver, store: ClickHouseStore) -> None:
    await driver.command("DROP TABLE task_execution_events")
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        await store.events("0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11")
