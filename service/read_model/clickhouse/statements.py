"""The SQL of the read model: our own words, and the values from outside that it binds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.contracts.status import Status
from service.ports.filters import Filters
from service.ports.read_model import Place

CONDITIONS: Final = {
    "task_id": "taskId = {task_id:String}",
    "status": "status = {status:String}",
    "created_by": "createdBy = {created_by:String}",
    "tag": "has(tags, {tag:String})",
}
"""For every filter that is declared, what it means here."""

if undecided := CONDITIONS.keys() ^ Filters.model_fields.keys():
    raise TypeError(f"CONDITIONS and Filters do not have the same names: {', '.join(sorted(undecided))}")

WINDOWS_IN_DAYS: Final = (1, 7, 35, None)
"""A window that holds enough rows holds the newest, so the answer is exact; if it does not, the next one is tried."""

_AFTER: Final = (
    "createdAt <= fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC')"
    " AND (createdAt, executionId) < (fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC'), {execution_id:UUID})"
)
_COUNTS: Final = ", ".join(f"countIf(status = '{status}') AS {status}" for status in Status)


@dataclass(frozen=True, slots=True)
class Statement:
    """What to run; `parameters` are bound, never pasted."""

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)


_KEPT: Final = "completedAt IS NULL OR completedAt >= fromUnixTimestamp64Milli({kept_since:Int64}, 'UTC')"
LIFE: Final = "(executionId, createdAt)"
"""One life of an execution: should its id ever be used again, the record of one is not taken for the other's."""

REJECTIONS: Final = "SELECT count() AS total FROM task_command_rejections FINAL"
TOPIC_IDS: Final = "SELECT topic, toString(id) AS id FROM projector_topics FINAL"
POSITIONS: Final = (
    "SELECT topic, partition, max(p.offset) AS offset, max(endOffset) AS end_offset, "
    "max(toUnixTimestamp64Milli(asOf)) AS as_of FROM projector_position AS p GROUP BY topic, partition"
)


def events_statement(execution_ids: Sequence[str], kept_since: int | None) -> Statement:
    """All events of these executions that are kept."""
    parameters: dict[str, Any] = {"ids": list(execution_ids)}
    wanted = where = "executionId IN {ids:Array(UUID)}"
    if kept_since is not None:
        parameters["kept_since"] = kept_since
        where += f" AND {LIFE} NOT IN (SELECT {LIFE} FROM task_execution_events WHERE {wanted} AND NOT ({_KEPT}))"  # noqa: S608 - see Statement
    sql = (
        "SELECT toString(executionId) AS execution_id, sequence, type, status, "  # noqa: S608 - see Statement
        "toUnixTimestamp64Milli(eventTime) AS time, payload, partition, offset FROM task_execution_events "
        f"WHERE {where} ORDER BY executionId, sequence LIMIT 1 BY executionId, sequence"
    )
    return Statement(sql, parameters)


def total_statement(filters: Filters, kept_since: int | None) -> Statement:
    """How many executions fit the filters."""
    where, parameters = _where(filters, kept_since)
    return Statement(f"SELECT count() AS total FROM {_table_for(filters.task_id)} FINAL WHERE {where}", parameters)  # noqa: S608 - see Statement


def counts_statement(task_id: str | None, kept_since: int | None) -> Statement:
    """The counts of one task, or of all."""
    where, parameters = _where(Filters(task_id=task_id), kept_since)
    return Statement(f"SELECT {_COUNTS} FROM {_table_for(task_id)} FINAL WHERE {where}", parameters)  # noqa: S608 - see Statement


def counts_by_task_statement(kept_since: int | None) -> Statement:
    """The counts of every task."""
    where, parameters = _where(Filters(), kept_since)
    sql = (
        f"SELECT taskId AS task_id, {_COUNTS} FROM task_executions_by_task FINAL "  # noqa: S608 - see Statement
        f"WHERE {where} GROUP BY taskId ORDER BY taskId"
    )
    return Statement(sql, parameters)


def page_statements(
    filters: Filters, limit: int, offset: int, after: Place | None, kept_since: int | None
) -> Iterator[Statement]:
    """The page from ever wider windows: to be tried until one gives all the rows asked for."""
    where, parameters = _where(filters, kept_since)
    anchor = "now64(3, 'UTC')"
    if after is not None:
        where += f" AND {_AFTER}"
        anchor = "fromUnixTimestamp64Milli({created_ms:Int64}, 'UTC')"
        parameters |= after._asdict()
    for days in WINDOWS_IN_DAYS:
        window = "" if days is None else f" AND createdAt >= {anchor} - toIntervalDay({days})"
        sql = (
            "SELECT toString(executionId) AS execution_id, sequence, "  # noqa: S608 - see Statement
            "toUnixTimestamp64Milli(createdAt) AS created_ms "
            f"FROM {_table_for(filters.task_id)} FINAL WHERE {where}{window} "
            f"ORDER BY createdAt DESC, executionId DESC LIMIT {limit} OFFSET {offset}"
        )
        yield Statement(sql, parameters)


def _table_for(task_id: str | None) -> str:
    """Of the two tables with the same rows, the one sorted for the question."""
    return "task_executions" if task_id is None else "task_executions_by_task"


def _where(filters: Filters, kept_since: int | None) -> tuple[str, dict[str, Any]]:
    parameters = {name: value for name in CONDITIONS if (value := getattr(filters, name)) is not None}
    conditions = ["true", *(CONDITIONS[name] for name in parameters)]
    if kept_since is not None:
        conditions.append(f"({_KEPT})")
        parameters["kept_since"] = kept_since
    return " AND ".join(conditions), parameters
