"""The tables (schema.sql), made where they are missing and refused where they are not ours."""

from importlib.resources import files
from typing import Final

from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.errors import ClickHouseSetupError

SCHEMA_VERSION: Final = "task-execution schema 1"
"""The comment on every table; to be raised with every change in schema.sql."""

TABLES: Final = (
    "task_execution_events",
    "task_executions",
    "task_executions_by_task",
    "task_command_rejections",
    "projector_position",
    "task_executions_filler",
    "task_executions_by_task_filler",
)


async def create_schema(driver: Driver) -> None:
    """Create what is missing and check the rest; may be called at every start.

    Raises:
        ClickHouseSetupError: a table of this name exists, but was made by another version or by somebody else.
        UnavailableError: ClickHouse cannot be reached now.
    """
    await _check(driver)
    script = (files("service.read_model.clickhouse") / "schema.sql").read_text(encoding="utf-8")
    for statement in script.format(version=SCHEMA_VERSION).split(";\n"):
        if statement.strip():
            await driver.command(statement)


async def _check(driver: Driver) -> None:
    found = await driver.query(
        "SELECT name, comment FROM system.tables "
        "WHERE database = currentDatabase() AND has({names:Array(String)}, name)",
        {"names": list(TABLES)},
    )
    foreign = sorted(f"{table['name']} ({table['comment']!r})" for table in found if table["comment"] != SCHEMA_VERSION)
    if foreign:
        raise ClickHouseSetupError(
            f"These ClickHouse tables are not of {SCHEMA_VERSION!r}: {', '.join(foreign)}. Use another database, or "
            f"drop {', '.join(TABLES)}: the projector fills them again from Kafka."
        )
