"""Hours that have ended, counted: which part of an answer is read from them, and how they are made (docs/adr/0033)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from service.ports.filters import CreationFilters
from service.ports.read_model import TIMES_ERROR, Grouping
from service.read_model.clickhouse.selection import bounded_ms
from service.read_model.clickhouse.statements import Statement

HOUR_MS: Final = 3_600_000
_SHORT_MS: Final = 49 * HOUR_MS
"""The counts of all tasks lie task by task: for few hours of them, all would be looked at, and rows are fewer."""


UNTIL: Final = "hours_until"
"""The parameter that every statement has which is about closed hours, or about the rows that are in none."""

_BASE: Final = 1 + 2 * TIMES_ERROR
"""The times of a class lie within so much of each other: its middle is within half of it."""

TIME: Final = f"toInt64(round(exp2(class * log2({_BASE})) - 1))"
"""The time, in milliseconds, that stands for those of a class."""

TIMED: Final = "(status = 'RUNNING' OR previousStatus = 'RUNNING')"
"""Which transitions have a time: the queue time of what has started, the run time of what ran and has ended."""

TOOK: Final = (
    "toUnixTimestamp64Milli(at) - toUnixTimestamp64Milli(if(status = 'RUNNING', createdAt, assumeNotNull(startedAt)))"
)
"""That time, in milliseconds."""

CLASS: Final = f"if({TIMED}, toUInt16(round(log(1 + greatest({TOOK}, 0)) / log({_BASE}))), 0)"
"""In which class that time is."""

AMONG_TASKS: Final = "taskId IN {tasks:Array(String)}"
"""Of some tasks: those that the parameter names."""

CLOSED: Final = (
    "SELECT max(opened) AS reopened, maxIf(at, edge = 'SINCE') AS since, least("
    "maxIf(at, edge = 'UNTIL' AND opened = counted), minOrNullIf(at, edge = 'OPENED' AND opened > counted)) AS until "
    "FROM (SELECT edge, toUnixTimestamp64Milli(reopened) AS opened, toUnixTimestamp64Milli(moment) AS at, "
    "maxIf(opened, edge = 'UNTIL') OVER () AS counted FROM task_execution_hours_closed)"
)

CHANGED: Final = (
    "SELECT toUnixTimestamp64Milli(max(c.reopened)) AS reopened, "
    "toUnixTimestamp64Milli(maxIf(moment, edge = 'SINCE')) AS since FROM task_execution_hours_closed AS c"
)
"""What of `CLOSED` changes when closed hours are closed no more."""

FURTHEST: Final = (
    "SELECT toUnixTimestamp64Milli(maxIf(moment, edge = 'UNTIL')) AS until FROM task_execution_hours_closed"
)
"""Until when anybody can have known hours to be closed."""

_KEYS: Final = {
    None: "0",
    Grouping.TASK_ID: "taskId",
    Grouping.TASK_VERSION: "taskVersion",
    Grouping.HOUR: "createdHour",
    Grouping.DAY: "toStartOfDay(createdHour)",
}


class Closed(NamedTuple):
    """The hours that are counted, from `since` until `until`, and when hours were last opened again; epoch ms."""

    reopened: int = 0
    since: int = 0
    until: int = 0


class Parts(NamedTuple):
    """What adds up to an answer: what is counted of `rows`, and of closed `hours`, if any are in it.

    Of the hours, the answer is the same until they are opened again.
    """

    rows: Statement
    hours: Statement | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """What of an answer is in closed hours: which counts (`key`, `where`); and which rows are in none (`others`).

    These are of the task, too: of a few hours, its column tells sooner than the index which rows are.
    """

    key: str
    where: str
    others: tuple[str, ...]
    parameters: dict[str, Any]


def hours_of(
    filters: CreationFilters,
    by: Grouping | None,
    kept_since: int | None,
    closed: Closed,
    tasks: Sequence[str] | None = None,
) -> Hours | None:
    """How to answer from closed hours, of these `tasks` if any are named; None: they do not have it.

    They know the task, the version and the hour of creation. Of hours that are not wanted as a whole, and of such as
    something has been dropped from, the rows are read.
    """
    since = max(closed.since, 0 if kept_since is None else hour_after(kept_since))
    of_rows = filters.created_by is not None or filters.tag or filters.id_prefix is not None
    if by not in _KEYS or of_rows or since >= closed.until:
        return None
    of_tasks = filters.task_version is not None or by in {Grouping.TASK_ID, Grouping.TASK_VERSION}
    of_any = of_tasks and filters.task_id is None and tasks is None
    if of_any and _is_short(filters, closed):
        return None
    conditions, others, parameters = _split(filters, since, closed.until)
    parameters["task_id"] = filters.task_id or ""
    if of_any:
        conditions.append("taskId != ''")
    else:
        conditions.append("taskId = {task_id:String}" if tasks is None else AMONG_TASKS)
    if filters.task_version is not None:
        conditions.append("taskVersion = {task_version:String}")
        parameters["task_version"] = filters.task_version
    if tasks is not None:
        parameters["tasks"] = [*tasks]
    if filters.task_id is not None:
        others = [f"{rows} AND taskId = {{task_id:String}}" for rows in others]
    return Hours(_KEYS[by], " AND ".join(conditions), tuple(others), parameters)


def _split(filters: CreationFilters, since: int, until: int) -> tuple[list[str], list[str], dict[str, Any]]:
    """The conditions on closed hours, each one on the rows that are in none, and their parameters.

    Every condition costs planning: nothing is said of a `since` before everything.
    """
    parameters = {"hours_since": since, UNTIL: until}
    conditions, others, part = [f"hour < {_time(UNTIL)}"], [f"at >= {_time(UNTIL)}"], f"at < {_time(UNTIL)}"
    if since:
        conditions.append(f"hour >= {_time('hours_since')}")
        others, part = [f"(at < {_time('hours_since')} OR {others[0]})"], f"{part} AND at >= {_time('hours_since')}"
    if filters.created_from is not None:
        begin = bounded_ms(filters.created_from)
        parameters["first_hour"] = hour_after(begin)
        # Nothing comes into a status before it is created: of the weeks before, nothing is looked at.
        conditions.append(f"createdHour >= {_time('first_hour')} AND hour >= {_time('first_hour')}")
        if begin % HOUR_MS:
            others.append(f"{part} AND createdAt < {_time('first_hour')}")
        part += f" AND createdAt >= {_time('first_hour')}"  # both ends may be in one hour
    if filters.created_to is not None:
        end = bounded_ms(filters.created_to)
        parameters["last_hour"] = hour_of(end)
        conditions.append(f"createdHour < {_time('last_hour')}")
        if end % HOUR_MS:
            others.append(f"{part} AND createdAt >= {_time('last_hour')}")
    return conditions, others, parameters


def next_statement(since: int) -> Statement:
    """When something next happened from then on: the hours of a day, and how many rows each has about."""
    begin = f"(SELECT min(at) FROM task_execution_transitions WHERE at >= {_time('since')})"  # noqa: S608 - our own words
    sql = (
        "SELECT toUnixTimestamp(toStartOfHour(at)) * 1000 AS hour, count() AS count FROM task_execution_transitions "  # noqa: S608 - as above
        f"WHERE at >= {begin} AND at < {begin} + INTERVAL 1 DAY GROUP BY hour ORDER BY hour"
    )
    return Statement(sql, {"since": since})


def lately_opened_statement(since: int) -> Statement:
    """From which hour on any was opened after this moment (epoch ms); NULL: none was."""
    sql = (
        "SELECT toUnixTimestamp64Milli(minOrNull(moment)) AS hour FROM task_execution_hours_closed "  # noqa: S608 - our own words
        f"WHERE edge = 'OPENED' AND reopened > {_time('since')}"
    )
    return Statement(sql, {"since": since})


def newest_other_statement(mark: int) -> Statement:
    """When hours were last opened (epoch ms), but for this mark."""
    sql = (
        "SELECT toUnixTimestamp64Milli(max(h.reopened)) AS reopened FROM task_execution_hours_closed AS h "
        "WHERE mark != {mark:UInt64}"
    )
    return Statement(sql, {"mark": mark})


def counted_statement(since: int, until: int) -> Statement:
    """Whether any of these hours was counted before."""
    sql = f"SELECT count() > 0 AS counted FROM task_execution_hours WHERE {_between('hour')}"  # noqa: S608 - our own words
    return Statement(sql, {"since": since, "until": until})


def uncount_statement(since: int, until: int) -> Statement:
    """Take away the counts of these hours."""
    begin, end = (f"fromUnixTimestamp64Milli({edge:d}, 'UTC')" for edge in (since, until))
    return Statement(f"DELETE FROM task_execution_hours WHERE hour >= {begin} AND hour < {end}", {})  # noqa: S608 - numbers


def count_statement(since: int, until: int, *, again: bool) -> Statement:
    """Count these hours; `again`, what was counted before and is no more, is counted as nothing."""
    by = "hour, createdHour, status, previousStatus"
    each = (
        "SELECT toStartOfHour(at) AS hour, taskId, taskVersion, toStartOfHour(createdAt) AS createdHour, status, "  # noqa: S608 - our own words
        f"previousStatus, {CLASS} AS class, count() AS n FROM task_execution_transitions FINAL "
        f"WHERE {_between('at')} GROUP BY GROUPING SETS (({by}, taskId, taskVersion, class), ({by}, class))"
    )
    before = (
        "SELECT hour, taskId, taskVersion, createdHour, status, previousStatus, toUInt16(0) AS class, toUInt64(0) AS n "  # noqa: S608 - as above
        f"FROM task_execution_hours FINAL WHERE {_between('hour')}"
    )
    found = f"{each} UNION ALL {before}" if again else each
    sql = (
        "INSERT INTO task_execution_hours SELECT hour, taskId, taskVersion, createdHour, status, previousStatus, "  # noqa: S608 - as above
        f"sum(n), groupArrayIf(class, n > 0 AND {TIMED}), groupArrayIf(toUInt32(n), n > 0 AND {TIMED}) "
        f"FROM ({found}) GROUP BY {by}, taskId, taskVersion "
        "SETTINGS do_not_merge_across_partitions_select_final = 1, insert_deduplicate = 0"
    )
    return Statement(sql, {"since": since, "until": until})


def miscounted_statement(closed: Closed) -> Statement:
    """The first closed hour that is not counted as its rows are; no row: all are."""
    return Statement(
        "SELECT toUnixTimestamp(h) * 1000 AS hour FROM ("  # noqa: S608 - our own words
        "SELECT toStartOfHour(at) AS h, toInt64(count()) AS n FROM task_execution_transitions FINAL "
        f"WHERE {_between('at')} GROUP BY h UNION ALL "
        "SELECT hour AS h, -toInt64(sum(count)) AS n FROM task_execution_hours FINAL "
        f"WHERE taskId = '' AND {_between('hour')} GROUP BY h) GROUP BY h HAVING sum(n) != 0 ORDER BY h LIMIT 1",
        {"since": closed.since, "until": closed.until},
    )


def _is_short(filters: CreationFilters, closed: Closed) -> bool:
    begin = filters.created_from
    return begin is not None and closed.until - bounded_ms(begin) < _SHORT_MS


def hour_of(at: int) -> int:
    """When the hour began that this moment is in."""
    return at - at % HOUR_MS


def hour_after(at: int) -> int:
    """When the first hour begins that has nothing of before this moment."""
    return math.ceil(at / HOUR_MS) * HOUR_MS


def _time(name: str) -> str:
    return f"fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"


def _between(column: str) -> str:
    return f"{column} >= {_time('since')} AND {column} < {_time('until')}"
