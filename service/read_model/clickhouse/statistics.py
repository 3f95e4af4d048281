"""The SQL of counts and times: of closed hours from their counts, of all else from the transitions."""

from typing import Final

from service.contracts.status import Status
from service.ports.filters import CreationFilters
from service.ports.read_model import Grouping
from service.read_model.clickhouse.hours import TIME, Closed, hours_of
from service.read_model.clickhouse.selection import FINAL, Rows, Selection
from service.read_model.clickhouse.statements import TRANSITIONS, Statement, kept, since

_KEYS: Final = {
    None: "0",
    Grouping.TASK_ID: "taskId",
    Grouping.TASK_VERSION: "taskVersion",
    Grouping.CREATED_BY: "createdBy",
    Grouping.HOUR: "toStartOfHour(createdAt)",
    Grouping.DAY: "toStartOfDay(createdAt)",
}
"""What executions are grouped by; it is made a text when they are counted."""

_COUNTS: Final = ", ".join(
    f"sumIf(n, status = '{status}') - sumIf(n, previousStatus = '{status}') AS {status}" for status in Status
)
"""How many are in each status: those that came into it, less those that left it."""

_HOURS: Final = "task_execution_hours FINAL"


def counts_statement(
    filters: CreationFilters, kept_since: int | None, by: Grouping | None, closed: Closed
) -> Statement:
    """How many executions are in each status, by their keys."""
    selection = Selection(filters)
    every = Rows(tuple(Status), tuple(selection.always))
    parameters = selection.parameters | since(kept_since)
    wheres, found = kept(every, kept_since), []
    if hours := hours_of(filters, by, kept_since, closed):
        parameters |= hours.parameters
        wheres = [f"{where} AND {others}" for where in wheres for others in hours.others]
        found = [
            f"SELECT {hours.key} AS k, status, previousStatus, toInt64(count) AS n FROM {_HOURS} WHERE {hours.where}"  # noqa: S608 - see Statement
        ]
    found += [
        f"SELECT {_KEYS[by]} AS k, status, previousStatus, toInt64(count()) AS n FROM {TRANSITIONS} WHERE {where} "  # noqa: S608 - see Statement
        "GROUP BY k, status, previousStatus"
        for where in wheres
    ]
    sql = f"SELECT {_key(by)} AS key, {_COUNTS} FROM ({' UNION ALL '.join(found)}) GROUP BY k ORDER BY k"  # noqa: S608 - see Statement
    return Statement(sql, parameters)


def times_statement(filters: CreationFilters, kept_since: int | None, by: Grouping | None, closed: Closed) -> Statement:
    """The percentiles of queue and run times, in milliseconds, by their keys; with closed hours, not quite exact."""
    selection = Selection(filters)
    always = tuple(selection.always)
    parameters = selection.parameters | since(kept_since)
    hours = hours_of(filters, by, kept_since, closed)
    found = []
    if hours is not None:
        parameters |= hours.parameters
        found.append(
            f"SELECT k, what, {TIME} AS ms, n FROM (SELECT {hours.key} AS k, "  # noqa: S608 - see Statement
            f"if(status = 'RUNNING', 'queue', 'run') AS what, class, sum(classCount) AS n FROM {_HOURS} "
            f"ARRAY JOIN timeClasses AS class, timeCounts AS classCount WHERE {hours.where} GROUP BY k, what, class)"
        )
    for what, began, rows in (
        ("queue", "createdAt", Rows((Status.RUNNING,), always)),
        ("run", "assumeNotNull(startedAt)", Rows(FINAL, (*always, "previousStatus = 'RUNNING'"))),
    ):
        wheres = kept(rows, kept_since)
        if hours is not None:
            wheres = [f"{where} AND {others}" for where in wheres for others in hours.others]
        found += [
            f"SELECT {_KEYS[by]} AS k, '{what}' AS what, "  # noqa: S608 - see Statement
            f"toUnixTimestamp64Milli(at) - toUnixTimestamp64Milli({began}) AS ms, count() AS n "
            f"FROM {TRANSITIONS} WHERE {where} GROUP BY k, ms"
            for where in wheres
        ]
    sql = (
        f"SELECT {_key(by)} AS key, what, quantilesExactWeighted(0.5, 0.9, 0.95, 0.99)(ms, n) AS percentiles "  # noqa: S608 - see Statement
        f"FROM ({' UNION ALL '.join(found)}) GROUP BY k, what ORDER BY k"
    )
    return Statement(sql, parameters)


def _key(by: Grouping | None) -> str:
    if by is None:
        return "''"
    return "formatDateTime(k, '%Y-%m-%dT%H:%i:%SZ')" if by in {Grouping.HOUR, Grouping.DAY} else "k"
