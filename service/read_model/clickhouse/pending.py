"""The SQL that finds executions which have not started, oldest first."""

from collections.abc import Sequence
from typing import Final

from service.ports.read_model import Place
from service.read_model.clickhouse.statements import CREATED, Statement

_BEYOND: Final = f" AND createdAt >= {CREATED} AND (createdAt, executionId) > ({CREATED}, {{execution_id:UUID}})"


def pending_statement(task_ids: Sequence[str], limit: int, after: Place | None) -> Statement:
    """The oldest of each task; `sequence` tells what has happened to it."""
    place = {} if after is None else {"created_ms": after.created_ms, "execution_id": after.execution_id}
    sql = (
        "SELECT toString(executionId) AS execution_id, o.taskId AS task_id, taskVersion AS task_version, "  # noqa: S608 - see Statement
        "toUnixTimestamp64Milli(createdAt) AS created_ms, sequence FROM task_executions_open AS o FINAL "
        f"WHERE status = 'PENDING' AND o.taskId IN {{tasks:Array(String)}}{'' if after is None else _BEYOND} "
        f"ORDER BY createdAt, executionId LIMIT {limit} BY o.taskId"
    )
    return Statement(sql, {"tasks": list(task_ids)} | place)


def waiting_statement(execution_ids: Sequence[str]) -> Statement:
    """Which of these had something to wait for when they were created."""
    sql = (
        "SELECT DISTINCT toString(executionId) AS execution_id FROM task_execution_events "
        "WHERE executionId IN {ids:Array(UUID)} AND sequence = 1 "
        "AND (JSONHas(payload, 'dependsOn') OR JSONHas(payload, 'notBefore'))"
    )
    return Statement(sql, {"ids": list(execution_ids)})
