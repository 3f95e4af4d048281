"""The tables (schema.sql) and views (views.sql): made where missing, brought up to date, refused where not ours."""

from collections.abc import Collection
from importlib.resources import files
from typing import Final

import structlog

from service.ports.errors import StoreSetupError
from service.read_model.clickhouse.cluster import SHARDED_BY, Cluster
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.fingerprint import FINGERPRINT
from service.read_model.clickhouse.migrations import UPGRADABLE, migrate, needs_migration, table_comments
from service.read_model.clickhouse.selection import LABELS, RUN_MS

log = structlog.get_logger(__name__)

SCHEMA_VERSION: Final = "task-execution schema 4"
"""The comment on every table; to be raised with every change in schema.sql that tables or versions of before don't fit.

A table more is none: who does not know it goes on without it.
"""

_OLDER: Final = f"The ClickHouse tables are older than {SCHEMA_VERSION!r}."

TABLES: Final = (
    "task_execution_events_in",
    "task_execution_events",
    "task_execution_transitions",
    "task_executions_open",
    "task_execution_dependencies",
    "task_execution_hours",
    "task_execution_hours_closed",
    "task_command_rejections",
    "projector_position",
    "projector_topics",
    "task_execution_events_filler",
    "task_execution_transitions_filler",
    "task_executions_open_filler",
    "task_execution_dependencies_filler",
)

VIEWS: Final = ("executions", "executions_hourly", "task_health", "sla", "failures")
"""What analysts read. `CREATE OR REPLACE VIEW` replaces whatever has the name, a table with all its rows, too."""

VIEW_MARK: Final = "task-execution view:"
"""The comment on every view begins with it."""


async def create_schema(driver: Driver, *, migrating: bool) -> None:
    """Create what is missing and check the rest; may be called at every start.

    With `migrating`, tables of an older version are brought to ours, and the views are made anew. One process does it,
    the projector: until it has ended, the others are told so.

    Raises:
        StoreSetupError: a table or view of this name was made by a newer version or by somebody else, or by an older
            one and may not be migrated here; or it is of a cluster and we are on none, or the other way round.
        UnavailableError: ClickHouse cannot be reached now, or another process migrates the tables.
    """
    comments = await table_comments(driver)
    _refuse_foreign(comments)
    _refuse_other_layout(comments, driver.cluster)
    if migrating:
        _refuse_foreign_views(comments)
        _tell_of_second_tables(comments)
    statements = schema_statements()
    if needs_migration(comments):
        if not migrating:
            raise StoreSetupError(
                f"{_OLDER} Start the projector first: it brings them up to date. Then start this again."
            )
        await migrate(driver, statements, SCHEMA_VERSION)
    if migrating and driver.cluster is None:  # on a cluster, their subqueries would be of one shard
        statements += _statements("views.sql", mark=VIEW_MARK)
    for statement in statements:
        await driver.command(statement)


async def check_schema(driver: Driver) -> str | None:
    """The version of the tables; None if there are none yet. Nothing is changed.

    Raises:
        StoreSetupError: as `create_schema`, without `migrating`.
        UnavailableError: ClickHouse cannot be reached now.
    """
    comments = await table_comments(driver)
    _refuse_foreign(comments)
    _refuse_other_layout(comments, driver.cluster)
    if needs_migration(comments):
        raise StoreSetupError(f"{_OLDER} Start the projector: it brings them up to date.")
    return SCHEMA_VERSION if comments.keys() & {*TABLES} else None


def schema_statements() -> list[str]:
    """What makes all tables, and brings those that are there up to date, in order."""
    return _statements("schema.sql", version=SCHEMA_VERSION, labels=LABELS, fingerprint=FINGERPRINT, run=RUN_MS)


def _statements(script: str, **words: str) -> list[str]:
    text = (files("service.read_model.clickhouse") / script).read_text(encoding="utf-8")
    return [statement for statement in text.format(**words).split(";\n") if statement.strip()]


def _tell_of_second_tables(names: Collection[str]) -> None:
    if "task_execution_events_live" in names:
        advice = (
            "unless `taskexec projection rebuild` or `verify` runs now, it was killed: run it again, it removes them."
        )
        log.warning("second_tables_found", tables="*_new, *_live", advice=advice)


def _refuse_other_layout(names: Collection[str], cluster: Cluster | None) -> None:
    spread = {name for name in SHARDED_BY if f"{name}_local" in names}
    if cluster is None and spread:
        raise StoreSetupError(
            f"These ClickHouse tables are spread over a cluster: {', '.join(sorted(spread))}. Set "
            "TASKEXEC_CLICKHOUSE_CLUSTER to its name, or use another database: the projector fills it from Kafka."
        )
    if cluster is not None and (single := SHARDED_BY.keys() & {*names} - spread):
        raise StoreSetupError(
            f"These ClickHouse tables are of one server, not of the cluster {cluster.name!r}: "
            f"{', '.join(sorted(single))}. Unset TASKEXEC_CLICKHOUSE_CLUSTER, or use another database: the projector "
            "fills it from Kafka."
        )


def _refuse_foreign(comments: dict[str, str]) -> None:
    ours = {SCHEMA_VERSION, *UPGRADABLE}
    foreign = sorted(
        f"{name} ({comments[name]!r})"
        for table in TABLES
        for name in (table, f"{table}_local")
        if comments.get(name, SCHEMA_VERSION) not in ours
    )
    if foreign:
        raise StoreSetupError(
            f"These ClickHouse tables are not of {SCHEMA_VERSION!r}: {', '.join(foreign)}. Use another database, or "
            f"drop {', '.join(TABLES)}: the projector fills them again from Kafka."
        )


def _refuse_foreign_views(comments: dict[str, str]) -> None:
    foreign = [name for name in VIEWS if not comments.get(name, VIEW_MARK).startswith(VIEW_MARK)]
    if foreign:
        raise StoreSetupError(
            f"The database has tables or views of the names {', '.join(foreign)} that the service did not make. "
            f"It makes the views {', '.join(VIEWS)} for analysts: rename yours, or use another database."
        )
