"""The SQL that drops finished executions, in an order that never shows half of one (docs/adr/0025)."""

from typing import Final

from service.read_model.clickhouse.statements import LIFE, Statement

AT_ONCE: Final = 1_000_000
"""So many are dropped together: their ids are held in memory."""

_TABLES: Final = ("task_executions", "task_executions_by_task", "task_execution_events")
"""In this order: the events say which executions have not been dropped from all tables yet."""


def oldest_statement(before: int, limit: int) -> Statement:
    """How many executions were completed before this moment, the oldest so many only, and when the last of these."""
    sql = (
        "SELECT count() AS count, max(toUnixTimestamp64Milli(completedAt)) AS last FROM ("  # noqa: S608 - our own words
        f"SELECT DISTINCT {LIFE} AS life, completedAt FROM task_execution_events "
        "WHERE completedAt < fromUnixTimestamp64Milli({before:Int64}, 'UTC') "
        f"ORDER BY completedAt LIMIT {limit} WITH TIES)"
    )
    return Statement(sql, {"before": before})


def drop_statements(last: int) -> list[str]:
    """Drop all executions that were completed until `last`; each statement once the one before it has ended.

    Within one, ClickHouse takes rows away part by part. So what an execution was before it ended goes first, while
    its last row still says that it is not to be shown; and only then that row.
    """
    ended = f"completedAt <= fromUnixTimestamp64Milli({last:d}, 'UTC')"
    lives = f"SELECT {LIFE} FROM task_execution_events WHERE {ended}"  # noqa: S608 - see Statement
    return [
        f"DELETE FROM {table} WHERE {rows}"  # noqa: S608 - our own words and a number
        for table in _TABLES
        for rows in (f"completedAt IS NULL AND {LIFE} IN ({lives})", ended)
    ]
