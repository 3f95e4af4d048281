"""The SQL that drops finished executions, in an order that never shows half of one (docs/adr/0025)."""

from typing import Final

from service.read_model.clickhouse.statements import COMPLETED, ENDED, LIFE, Statement

AT_ONCE: Final = 1_000_000
"""So many are dropped together: their ids are held in memory."""

TABLES: Final = ("task_executions_open", "task_execution_events", "task_execution_transitions")
"""In this order: the transitions say which executions have not been dropped from all tables yet."""


def oldest_statement(before: int, limit: int, since: int = 0, condition: str = "true") -> Statement:
    """How many executions were completed before this moment, the oldest so many only, and when the last of these.

    Only those that ended from `since` on and whose rows meet the condition.
    """
    sql = (
        "SELECT count() AS count, max(toUnixTimestamp64Milli(at)) AS last FROM ("  # noqa: S608 - our own words
        f"SELECT DISTINCT {LIFE} AS life, at FROM task_execution_transitions WHERE {ENDED} AND {condition} "
        "AND at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') "
        f"AND at < fromUnixTimestamp64Milli({{before:Int64}}, 'UTC') ORDER BY at LIMIT {limit} WITH TIES)"
    )
    return Statement(sql, {"since": since, "before": before})


def drop_statements(last: int) -> list[str]:
    """Drop all executions that were completed until `last`; each statement once the one before it has ended.

    Within one, ClickHouse takes rows away part by part. So what an execution was before it ended goes first, while
    its last row still says that it is not to be shown; and only then that row.
    """
    until = f"<= fromUnixTimestamp64Milli({last:d}, 'UTC')"
    of_theirs = f"{LIFE} IN (SELECT {LIFE} FROM task_execution_transitions WHERE {ENDED} AND at {until})"  # noqa: S608 - see Statement
    open_, events, transitions = TABLES
    return [
        f"DELETE FROM {table} WHERE {rows}"  # noqa: S608 - our own words and a number
        for table, rows in (
            ("task_execution_dependencies", of_theirs),  # whom they waited for
            (open_, f"NOT ended AND {of_theirs}"),
            (open_, f"ended AND {of_theirs}"),
            (events, f"{of_theirs} AND {COMPLETED} IS NULL"),
            (events, of_theirs),
            (transitions, f"NOT ({ENDED}) AND at {until} AND {of_theirs}"),
            (transitions, f"{ENDED} AND at {until}"),
        )
    ]
