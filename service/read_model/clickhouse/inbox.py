"""The SQL of failures one by one, and of what succeeded after them."""

from collections.abc import Sequence

from service.contracts.status import Status
from service.ports.filters import EndFilters, Filters
from service.ports.read_model import FailedExecution
from service.read_model.clickhouse.selection import Rows, Selection
from service.read_model.clickhouse.statements import TRANSITIONS, Statement, kept, since


def failed_statement(filters: EndFilters, limit: int, kept_since: int | None) -> Statement:
    """Those that failed last, and how many have failed in all."""
    selection = Selection(Filters(status=(Status.FAILURE,), **dict(filters)))
    (where,) = kept(selection.ended, kept_since)
    last = (
        "SELECT executionId, createdAt, at, taskId, fingerprint, count() OVER () AS n "  # noqa: S608 - see Statement
        f"FROM {TRANSITIONS} WHERE {where} ORDER BY at DESC, executionId DESC LIMIT {limit}"
    )
    sql = (
        "SELECT toString(executionId) AS execution_id, toUnixTimestamp64Milli(createdAt) AS created_ms, "  # noqa: S608 - see Statement
        "taskId AS task_id, toUnixTimestamp64Milli(at) AS ended_ms, fingerprint, n AS total "
        f"FROM ({last}) ORDER BY ended_ms DESC, execution_id DESC"
    )
    return Statement(sql, selection.parameters | since(kept_since))


def later_statement(failed: Sequence[FailedExecution], kept_since: int | None) -> Statement:
    """Of each, the first execution of its task that was created after its end, and succeeded."""
    conditions = (
        "at >= fromUnixTimestamp64Milli({first_end:Int64}, 'UTC')",
        "createdAt >= fromUnixTimestamp64Milli({first_end:Int64}, 'UTC')",
        "taskId IN {tasks:Array(String)}",
    )
    (where,) = kept(Rows((Status.SUCCESS,), conditions), kept_since)
    succeeded = f"SELECT taskId AS task, createdAt AS created, executionId AS id FROM {TRANSITIONS} WHERE {where}"  # noqa: S608 - see Statement
    failures = (
        "SELECT one.1 AS failure, one.2 AS task, fromUnixTimestamp64Milli(one.3, 'UTC') AS ended FROM ("
        "SELECT arrayJoin(arrayZip({failures:Array(String)}, {of_tasks:Array(String)}, {ends:Array(Int64)})) AS one)"
    )
    sql = (
        "SELECT f.failure AS failure, toString(s.id) AS execution_id, toUnixTimestamp64Milli(s.created) AS created_ms "  # noqa: S608 - see Statement
        f"FROM ({failures}) AS f ASOF JOIN ({succeeded}) AS s ON f.task = s.task AND s.created >= f.ended"
    )
    parameters = {
        "first_end": min(one.ended_ms for one in failed),
        "tasks": sorted({one.task_id for one in failed}),
        "failures": [one.execution_id for one in failed],
        "of_tasks": [one.task_id for one in failed],
        "ends": [one.ended_ms for one in failed],
    }
    return Statement(sql, parameters | since(kept_since))
