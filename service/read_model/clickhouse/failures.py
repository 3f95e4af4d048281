"""The SQL of failures, grouped by the fingerprint of their message."""

from typing import Final

from service.contracts.status import Status
from service.ports.filters import EndFilters, Filters
from service.ports.read_model import TASKS_OF_A_GROUP
from service.read_model.clickhouse.selection import Selection
from service.read_model.clickhouse.statements import TRANSITIONS, Statement, kept, since

_SPILLS: Final = 256 << 20
"""So many bytes of groups are held in memory, the others on disk: messages may have nothing in common."""


def failures_statement(filters: EndFilters, limit: int, kept_since: int | None) -> Statement:
    """The largest groups; of each the newest failure. Each row says how many groups and failures there are in all."""
    selection = Selection(Filters(status=(Status.FAILURE,), **dict(filters)))
    (where,) = kept(selection.ended, kept_since)
    by_task = (
        "SELECT fingerprint, taskId AS task, count() AS n, min(at) AS since, "  # noqa: S608 - see Statement
        "max((at, executionId, createdAt)) AS newest "
        f"FROM {TRANSITIONS} WHERE {where} GROUP BY fingerprint, task"
    )
    largest = f"arraySlice(arraySort(each -> (-each.1, each.2), groupArray((toInt64(n), task))), 1, {TASKS_OF_A_GROUP})"
    sql = (
        "SELECT fingerprint, sum(n) AS count, count() AS task_count, "  # noqa: S608 - see Statement
        f"arrayMap(each -> each.2, {largest}) AS tasks, "
        "toUnixTimestamp64Milli(min(since)) AS first_ms, toUnixTimestamp64Milli(max(newest).1) AS last_ms, "
        "toString(max(newest).2) AS execution_id, toUnixTimestamp64Milli(max(newest).3) AS created_ms, "
        "sum(count) OVER () AS total, count() OVER () AS groups "
        f"FROM ({by_task}) GROUP BY fingerprint ORDER BY count DESC, last_ms DESC, fingerprint LIMIT {limit} "
        f"SETTINGS max_bytes_before_external_group_by = {_SPILLS}"
    )
    return Statement(sql, selection.parameters | since(kept_since))
