"""Brings the tables of older versions to ours, in small steps: each follows from what is found (docs/adr/0018).

So it does not matter where a process died that began: the next one goes on from there.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from clickhouse_connect.driver.exceptions import DatabaseError

from service.ports.errors import UnavailableError
from service.ports.projection_store import EventRow
from service.read_model.clickhouse.driver import Driver, columns_of

_REMADE: Final = frozenset({"task-execution schema 1", "task-execution schema 2"})
"""Of these, the tables of executions are made anew."""

UPGRADABLE: Final = _REMADE | {"task-execution schema 3"}
"""The comments on the tables of versions that can be brought to ours."""

EVENTS: Final = "task_execution_events"
ASIDE: Final = "task_execution_events_1"
"""The events of an older schema, until all of them are in the new tables."""

_VIEWS: Final = ("task_executions_filler", "task_executions_by_task_filler")
_FILLED: Final = ("task_executions", "task_executions_by_task")
_RACES: Final = frozenset({57, 60})  # TABLE_ALREADY_EXISTS, UNKNOWN_TABLE

log = structlog.get_logger(__name__)


async def table_comments(driver: Driver) -> dict[str, str]:
    """The comment on every table of the database, by its name."""
    rows = await driver.query("SELECT name, comment FROM system.tables WHERE database = currentDatabase()")
    return {row["name"]: row["comment"] for row in rows}


def needs_migration(comments: Mapping[str, str]) -> bool:
    """Whether a migration must begin, or go on."""
    return ASIDE in comments or any(comment in UPGRADABLE for comment in comments.values())


async def migrate(driver: Driver, schema: Sequence[str], version: str) -> None:
    """Bring the tables to `version`, which the statements of `schema` make.

    Raises:
        UnavailableError: ClickHouse cannot be reached now, or another process migrates the tables. Repeat it.
    """
    try:
        while steps := next_steps(comments := await table_comments(driver), schema, version):
            for statement in steps:
                log.warning("migrating_clickhouse", to=version, statement=" ".join(statement.split())[:80])
                await driver.command(statement)
    except DatabaseError as error:
        if error.code not in _RACES:
            raise
        raise UnavailableError(f"Another process migrates the ClickHouse tables. Start again. ({error})") from error
    log.warning("clickhouse_migrated", to=version, tables=len(comments))


def next_steps(comments: Mapping[str, str], schema: Sequence[str], version: str) -> list[str]:
    """What to run now, given the comments on the tables there are; nothing if all is done.

    The key of a table cannot be altered in place, so the events go aside and come back through the views, which fill
    the other two. Events that are copied twice change nothing. Where there are events aside already, those in the
    place of the new ones are copies that an older version had begun to make. The tables of schema 3 are ours; versions
    that know no later one must not read the bodies of events that are written from now on.
    """
    remade = {name for name, comment in comments.items() if comment in _REMADE}
    for name in _VIEWS:
        if name in remade:
            return [f"DROP VIEW {name}"]
    if EVENTS in remade:
        return [f"DROP TABLE {EVENTS}" if ASIDE in comments else f"RENAME TABLE {EVENTS} TO {ASIDE}"]
    for name in _FILLED:
        if name in remade:
            return [f"DROP TABLE {name}"]
    for name in sorted(comments.keys() - {ASIDE}):
        if comments[name] in UPGRADABLE and not name.endswith("_local"):  # of a cluster: it goes with the one in front
            return [f"ALTER TABLE {name} MODIFY COMMENT '{version}'"]
    if ASIDE in comments:
        return [*schema, _COPY, f"DROP TABLE {ASIDE}"]
    return []


_COLUMNS: Final = columns_of(EventRow)
_FOUND: Final = [
    "nullIf(JSONExtractString(payload, 'previousStatus'), '')" if name == "previousStatus" else name
    for name in _COLUMNS
]
_COPY: Final = (
    # Blocks that were inserted before must reach the views again: their rows may be missing there.
    f"INSERT INTO {EVENTS}_in ({', '.join(_COLUMNS)}) SELECT {', '.join(_FOUND)} FROM {ASIDE} "  # noqa: S608 - our own words only
    "SETTINGS max_partitions_per_insert_block = 0, insert_deduplicate = 0"
)
