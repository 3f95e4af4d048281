"""The SQL of the list: filters as bound parameters, newest first, one time window at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.queries.requests import Cursor, ListTaskExecutions

WINDOWS_IN_DAYS: Final = (1, 7, 35, None)
"""A window that holds enough rows holds the newest, so the answer is exact; if it does not, the next one is tried."""

_FILTERS: Final = {
    "task_id": "taskId = {task_id:String}",
    "status": "status = {status:String}",
    "created_by": "createdBy = {created_by:String}",
    "tag": "has(tags, {tag:String})",
}

_AFTER_CURSOR: Final = (
    "createdAt <= fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC')"
    " AND (createdAt, executionId) < (fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC'), {execution_id:UUID})"
)


def table_for(task_id: str | None) -> str:
    """Of the two tables with the same rows, the one sorted for the question."""
    return "task_execution" + ("s" if task_id is None else "s_by_task")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL made of our own words, and the values from outside that it binds."""

    sql: str
    parameters: dict[str, Any]


def count_statement(request: ListTaskExecutions) -> Statement:
    """How many executions fit the filters, wherever the page stands."""
    where, parameters = _filters(request)
    return Statement(f"SELECT count() AS total FROM {table_for(request.task_id)} FINAL WHERE {where}", parameters)  # noqa: S608 - see Statement


def page_statements(request: ListTaskExecutions) -> Iterator[Statement]:
    """The page's ids and one more, from ever wider windows: to be tried until one gives all the rows asked for."""
    where, parameters = _filters(request)
    anchor = "now64(3, 'UTC')"
    offset = (request.page_number - 1) * request.page_size
    if request.cursor is not None:
        cursor = Cursor.parse(request.cursor)
        where += f" AND {_AFTER_CURSOR}"
        anchor = "fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC')"
        parameters |= {"created_ms": cursor.created_ms, "execution_id": cursor.execution_id}
    for days in WINDOWS_IN_DAYS:
        window = "" if days is None else f" AND createdAt >= {anchor} - toIntervalDay({days})"
        sql = (
            "SELECT executionId, sequence, toUnixTimestamp64Milli(createdAt) AS created_ms "  # noqa: S608 - see Statement
            f"FROM {table_for(request.task_id)} FINAL WHERE {where}{window} "
            f"ORDER BY createdAt DESC, executionId DESC LIMIT {request.page_size + 1} OFFSET {offset}"
        )
        yield Statement(sql, parameters)


def _filters(request: ListTaskExecutions) -> tuple[str, dict[str, Any]]:
    parameters = {name: value for name in _FILTERS if (value := getattr(request, name)) is not None}
    return " AND ".join(["true", *(_FILTERS[name] for name in parameters)]), parameters
