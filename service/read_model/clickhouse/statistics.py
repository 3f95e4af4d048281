"""The SQL of counts and times: of closed hours from their counts, of all else from the transitions."""

from collections.abc import Sequence
from typing import Final

from service.contracts.status import Status
from service.ports.filters import CreationFilters, Filters
from service.ports.read_model import Grouping
from service.read_model.clickhouse.hours import AMONG_TASKS, TIME, TIMED, TOOK, Closed, Hours, hours_of
from service.read_model.clickhouse.selection import FINAL, Rows, Selection
from service.read_model.clickhouse.statements import TRANSITIONS, Statement, kept, since

_KEYS: Final = {
    None: "0",
    Grouping.TASK_ID: "taskId",
    Grouping.TASK_VERSION: "taskVersion",
    Grouping.CREATED_BY: "createdBy",
    Grouping.MINUTE: "toStartOfMinute(createdAt)",
    Grouping.HOUR: "toStartOfHour(createdAt)",
    Grouping.DAY: "toStartOfDay(createdAt)",
}
"""What executions are grouped by; it is made a text when they are counted."""

_COUNTS: Final = "sumMap([toString(status), toString(previousStatus)], [n, -n]) AS counts"
"""How many are in each status: those that came into it, less those that left it. So it is planned fastest."""

_WHAT: Final = "if(status = 'RUNNING', 'queue', 'run')"

_LEVELS: Final = (0.5, 0.9, 0.95, 0.99)
_EXACT: Final = f"quantilesExact({', '.join(map(str, _LEVELS))})(ms)"
_OF_CLASSES: Final = f"quantilesExactWeighted({', '.join(f'{level + 1e-9:.9f}' for level in _LEVELS)})(ms, n)"
"""The same of classes: where a rank is a whole number, the exact ones are the next higher, these would be the lower."""

_HOURS: Final = "task_execution_hours FINAL"


def total_statement(filters: Filters, kept_since: int | None, closed: Closed) -> Statement:
    """How many executions fit the filters."""
    selection, hours = Selection(filters), None
    if selection.of_all and (hours := hours_of(filters, None, kept_since, closed)):
        selection = _without_task(filters)
    counts = [
        f"SELECT {rows.sign} * toInt64(count()) AS n FROM {TRANSITIONS} WHERE {where}"  # noqa: S608 - see Statement
        for rows in selection.counted
        for where in _wheres(rows, kept_since, hours)
    ]
    if hours:
        counts.append(f"SELECT toInt64(sum(count)) AS n FROM {_HOURS} WHERE {hours.where} AND status = 'PENDING'")  # noqa: S608 - see Statement
    sql = f"SELECT sum(n) AS total FROM ({' UNION ALL '.join(counts)})"  # noqa: S608 - see Statement
    return _statement(sql, selection, kept_since, hours)


def statuses_statement(filters: Filters, kept_since: int | None) -> Statement:
    """How many fit in each status, whichever is wanted."""
    selection = Selection(filters.model_copy(update={"status": ()}))
    counts = [
        f"SELECT toString({key}) AS s, {rows.sign} * toInt64(count()) AS n FROM {TRANSITIONS} WHERE {where} GROUP BY {key}"  # noqa: S608, E501 - see Statement
        for rows in selection.counted
        for key in ("status" if rows.sign > 0 else "previousStatus",)
        for where in kept(rows, kept_since)
    ]
    sql = f"SELECT s AS status, sum(n) AS count FROM ({' UNION ALL '.join(counts)}) GROUP BY s"  # noqa: S608 - see Statement
    return _statement(sql, selection, kept_since)


class Counted:
    """What is counted, by which keys: rows, and in place of some of them closed hours. `tasks`: only of these."""

    def __init__(
        self,
        filters: CreationFilters,
        by: Grouping | None,
        kept_since: int | None,
        closed: Closed,
        tasks: Sequence[str] | None = None,
    ) -> None:
        self.by = by
        self.hours = hours_of(filters, by, kept_since, closed, tasks)
        self._selection = _without_task(filters) if self.hours else Selection(filters)
        self._kept_since, self._tasks = kept_since, tasks

    def wheres(self, statuses: Sequence[Status], *conditions: str) -> list[str]:
        """The conditions on the rows into these statuses, without those that are in closed hours."""
        among = () if self._tasks is None else (AMONG_TASKS,)
        rows = Rows(tuple(statuses), (*self._selection.since, *among, *conditions))
        return _wheres(rows, self._kept_since, self.hours)

    def statement(self, sql: str) -> Statement:
        """The SQL with its parameters."""
        made = _statement(sql, self._selection, self._kept_since, self.hours)
        return made if self._tasks is None else Statement(sql, made.parameters | {"tasks": [*self._tasks]})


def counts_statement(what: Counted) -> Statement:
    """How many executions are in each status, by their keys: names of statuses, and as many numbers."""
    by, hours = what.by, what.hours
    found = [
        f"SELECT {_KEYS[by]} AS k, status, previousStatus, toInt64(count()) AS n FROM {TRANSITIONS} WHERE {where} "  # noqa: S608 - see Statement
        "GROUP BY k, status, previousStatus"
        for where in what.wheres(tuple(Status))
    ]
    if hours:
        found.append(
            f"SELECT {hours.key} AS k, status, previousStatus, toInt64(sum(count)) AS n FROM {_HOURS} "  # noqa: S608 - see Statement
            f"WHERE {hours.where} GROUP BY k, status, previousStatus"
        )
    sql = f"SELECT {_key(by)} AS key, {_COUNTS} FROM ({' UNION ALL '.join(found)}) GROUP BY k ORDER BY k"  # noqa: S608 - see Statement
    return what.statement(sql)


def times_statement(what: Counted) -> Statement:
    """The percentiles of queue and run times, in milliseconds, by their keys; and of all, `of_all`.

    With closed hours, they are not quite exact.
    """
    by, hours = what.by, what.hours
    found = [
        f"SELECT {_KEYS[by]} AS k, {_WHAT} AS what, {TOOK} AS ms, 1 AS n FROM {TRANSITIONS} WHERE {where}"  # noqa: S608 - see Statement
        for where in what.wheres((Status.RUNNING, *FINAL), TIMED)
    ]
    if hours:
        classes = (
            f"SELECT {hours.key} AS k, {_WHAT} AS what, class, sum(of_class) AS n FROM {_HOURS} "  # noqa: S608 - see Statement
            f"ARRAY JOIN timeClasses AS class, timeCounts AS of_class WHERE {hours.where} GROUP BY k, what, class"
        )
        found.append(f"SELECT k, what, {TIME} AS ms, n FROM ({classes})")  # noqa: S608 - see Statement
    groups = "(k, what)" if by is None else "(k, what), (what)"
    sql = (
        f"SELECT {_key(by)} AS key, grouping(k) AS of_all, what, {_OF_CLASSES if hours else _EXACT} AS percentiles "  # noqa: S608 - see Statement
        f"FROM ({' UNION ALL '.join(found)}) GROUP BY GROUPING SETS ({groups})"
    )
    return what.statement(sql)


def _without_task(filters: CreationFilters) -> Selection:
    """Where `Hours` say which task."""
    return Selection(filters.model_copy(update={"task_id": None}))


def _wheres(rows: Rows, kept_since: int | None, hours: Hours | None) -> list[str]:
    """The conditions on these rows, without those that are in closed hours."""
    wheres = kept(rows, kept_since)
    return wheres if hours is None else [f"{where} AND {others}" for where in wheres for others in hours.others]


def _statement(sql: str, selection: Selection, kept_since: int | None, hours: Hours | None = None) -> Statement:
    return Statement(sql, selection.parameters | since(kept_since) | (hours.parameters if hours else {}))


def _key(by: Grouping | None) -> str:
    if by is None:
        return "''"
    return "formatDateTime(k, '%Y-%m-%dT%H:%i:%SZ')" if by.is_of_time else "k"
