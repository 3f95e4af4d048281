"""The SQL of counts and times: of closed hours from their counts, of all else from the transitions."""

from collections.abc import Sequence
from typing import Final

from service.contracts.status import Status
from service.ports.filters import CreationFilters, Filters
from service.ports.read_model import Grouping
from service.read_model.clickhouse.adding import PERCENTS
from service.read_model.clickhouse.hours import AMONG_TASKS, CLASS, TIME, TIMED, TOOK, Closed, Hours, Parts, hours_of
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

_COUNTS: Final = "([toString(status), toString(previousStatus)], [n, -n])"
"""How many came into which status, and left which: to be added up."""

_WHAT: Final = "if(status = 'RUNNING', 'queue', 'run')"

_LEVELS: Final = [percent / 100 for percent in PERCENTS]
_EXACT: Final = f"quantilesExact({', '.join(map(str, _LEVELS))})(ms)"
_OF_CLASSES: Final = f"quantilesExactWeighted({', '.join(f'{level + 1e-9:.9f}' for level in _LEVELS)})(ms, n)"
"""The same of classes: where a rank is a whole number, the exact ones are the next higher, these would be the lower."""

_HOURS: Final = "task_execution_hours FINAL"


def total_parts(filters: Filters, kept_since: int | None, closed: Closed) -> Parts:
    """How many executions fit the filters: numbers of rows, to be added up, and counts by status of the hours."""
    selection, hours = Selection(filters), None
    begun = selection.of_all or selection.open  # what has ended has one row, which no hours are needed for
    if selection.of_creation and begun and (hours := hours_of(filters, None, kept_since, closed)):
        selection = _without_task(filters)
    counts = [
        f"SELECT {rows.sign} * toInt64(count()) AS total FROM {TRANSITIONS} WHERE {where}"  # noqa: S608 - see Statement
        for rows in selection.counted
        for where in _wheres(rows, kept_since, hours)
    ]
    sql = " UNION ALL ".join(counts)
    return Parts(_statement(sql, selection, kept_since, hours), _counts_of(hours, None) if hours else None)


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


def counts_parts(what: Counted) -> Parts:
    """How many executions are in each status, by their keys: names of statuses, and as many numbers, to be added up."""
    by, hours = what.by, what.hours
    found = [
        f"SELECT {_KEYS[by]} AS k, status, previousStatus, toInt64(count()) AS n FROM {TRANSITIONS} WHERE {where} "  # noqa: S608 - see Statement
        "GROUP BY k, status, previousStatus"
        for where in what.wheres(tuple(Status))
    ]
    return Parts(what.statement(_counts(found, by)), _counts_of(hours, by) if hours else None)


def _counts_of(hours: Hours, by: Grouping | None) -> Statement:
    counted = (
        f"SELECT {hours.key} AS k, status, previousStatus, toInt64(sum(count)) AS n FROM {_HOURS} "  # noqa: S608 - see Statement
        f"WHERE {hours.where} GROUP BY k, status, previousStatus"
    )
    return Statement(_counts([counted], by), hours.parameters)


def _counts(found: Sequence[str], by: Grouping | None) -> str:
    """Of few groups, adding up costs more than its result: it is left to who reads them."""
    if by is None:
        return f"SELECT '' AS key, {_COUNTS} AS counts FROM ({' UNION ALL '.join(found)})"  # noqa: S608 - see Statement
    return f"SELECT {_key(by)} AS key, sumMap({_COUNTS}) AS counts FROM ({' UNION ALL '.join(found)}) GROUP BY k"  # noqa: S608 - see Statement


def times_parts(what: Counted) -> Parts:
    """Of all that fit, how many took so long, nearly, where hours are closed; else see `times_statement`.

    Of groups, there would be too much to add up.
    """
    if what.hours is None or what.by is not None:
        return Parts(times_statement(what))
    found = [
        f"SELECT {_WHAT} AS what, {CLASS} AS class, count() AS n FROM {TRANSITIONS} WHERE {where} GROUP BY what, class"  # noqa: S608 - see Statement
        for where in what.wheres((Status.RUNNING, *FINAL), TIMED)
    ]
    rows = f"SELECT what, {TIME} AS ms, n FROM ({' UNION ALL '.join(found)})"  # noqa: S608 - see Statement
    return Parts(what.statement(rows), Statement(_took(what.hours), what.hours.parameters))


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
        found.append(_took(hours))
    groups = "(k, what)" if by is None else "(k, what), (what)"
    sql = (
        f"SELECT {_key(by)} AS key, grouping(k) AS of_all, what, {_OF_CLASSES if hours else _EXACT} AS percentiles "  # noqa: S608 - see Statement
        f"FROM ({' UNION ALL '.join(found)}) GROUP BY GROUPING SETS ({groups})"
    )
    return what.statement(sql)


def _took(hours: Hours) -> str:
    """How many took so long, nearly, by their keys."""
    classes = (
        f"SELECT {hours.key} AS k, {_WHAT} AS what, class, sum(of_class) AS n FROM {_HOURS} "  # noqa: S608 - see Statement
        f"ARRAY JOIN timeClasses AS class, timeCounts AS of_class WHERE {hours.where} GROUP BY k, what, class"
    )
    return f"SELECT k, what, {TIME} AS ms, n FROM ({classes})"  # noqa: S608 - see Statement


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
