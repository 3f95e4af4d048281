"""Every cell of the table (status, command), written out from the specification and not from the code."""

from datetime import UTC, timedelta

import pytest

from service.contracts.commands import (
    COMMAND_TYPES,
    Command,
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskDefinition
from service.contracts.problems import Code, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.decided import Request
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.execution import Execution, folded
from tests.ids import hash_of, id_of

ID = "11111111-1111-5111-8111-111111111111"
ETL = Definition(
    TaskDefinition.model_validate({"taskId": "etl:load", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
)

# Invariant 3 of the specification, written out: command -> for each status, what comes of it. A status: the
# transition; no: not allowed; again: it is so already; none: there is nothing to act on.
TABLE = """
                      (nothing)  PENDING  RUNNING  SUCCESS  FAILURE  STOPPED  SKIPPED
ExecuteTask           PENDING    again    again    again    again    again    again
StartTaskExecution    none       RUNNING  no       no       no       no       no
HeartbeatTaskExecution none      no       RUNNING  no       no       no       no
SucceedTaskExecution  none       no       SUCCESS  no       no       no       no
FailTaskExecution     none       no       FAILURE  no       no       no       no
StopTaskExecution     none       STOPPED  STOPPED  no       no       again    no
SkipTaskExecution     none       SKIPPED  no       no       no       no       no
"""
ALLOWED = {
    "PENDING": ("StartTaskExecution", "StopTaskExecution", "SkipTaskExecution"),
    "RUNNING": ("HeartbeatTaskExecution", "SucceedTaskExecution", "FailTaskExecution", "StopTaskExecution"),
}
EXECUTE = ExecuteTask(task_id="etl:load", task_version="1.0.0", inputs={})
START = StartTaskExecution(execution_id=ID, owner="worker-1")
PATHS: dict[str, list[Command]] = {
    "(nothing)": [],
    "PENDING": [EXECUTE],
    "RUNNING": [EXECUTE, START],
    "SUCCESS": [EXECUTE, START, SucceedTaskExecution(execution_id=ID, outputs={})],
    "FAILURE": [EXECUTE, START, FailTaskExecution(execution_id=ID, error_message="disk full")],
    "STOPPED": [EXECUTE, StopTaskExecution(execution_id=ID)],
    "SKIPPED": [EXECUTE, SkipTaskExecution(execution_id=ID, reason=SkipCause.CONDITION_FALSE, node="is_weekday")],
}
SENT: dict[str, Command] = {
    "ExecuteTask": EXECUTE,
    "StartTaskExecution": START,
    "HeartbeatTaskExecution": HeartbeatTaskExecution(execution_id=ID, owner="worker-1", progress=0.5),
    "SucceedTaskExecution": SucceedTaskExecution(execution_id=ID, outputs={}),
    "FailTaskExecution": FailTaskExecution(execution_id=ID, error_message="no memory"),
    "StopTaskExecution": StopTaskExecution(execution_id=ID),
    "SkipTaskExecution": SkipTaskExecution(execution_id=ID, reason=SkipCause.UPSTREAM_FAILED, node="collect"),
}
WINDOW = timedelta(hours=1)
HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(name, status, cell) for name, *cells in ROWS for status, cell in zip(HEAD, cells, strict=True)]


def after(commands: list[Command]) -> Execution | None:
    state: Execution | None = None
    for n, command in enumerate(commands):
        decision = decide(state, request(command, f"earlier {n}" if n else ID), ETL, WINDOW)
        state = folded(state, decision.events)
    return state


def request(command: Command, id_: str) -> Request:
    # The content is as new as the id, so that only the status can make it a repeat.
    content = "execute" if isinstance(command, ExecuteTask) else f"content of {id_}"
    return Request(command, id_of(id_), hash_of(content), "/tests", Timestamp(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("name", "status", "cell"), CELLS)
def test_every_cell_of_the_table(name: str, status: str, cell: str) -> None:
    state, sent = after(PATHS[status]), request(SENT[name], ID if name == "ExecuteTask" else "new")
    match cell:
        case "no":
            with pytest.raises(RejectedError) as refusal:
                decide(state, sent, ETL, WINDOW)
            problem = refusal.value.problem
            assert (problem.code, problem.status) == (Code.INVALID_TRANSITION, 409)
            assert problem.current_status == status
            assert problem.allowed_commands == ALLOWED.get(status, ())
        case "none":
            with pytest.raises(RejectedError) as refusal:
                decide(state, sent, ETL, WINDOW)
            assert (refusal.value.problem.code, refusal.value.problem.status) == (Code.EXECUTION_NOT_FOUND, 404)
        case "again":
            assert decide(state, sent, ETL, WINDOW).repeats
        case _:
            assert [event.status for event in decide(state, sent, ETL, WINDOW).events] == [cell]


def test_the_table_is_complete() -> None:
    assert ["(nothing)", *Status] == HEAD
    assert [row[0] for row in ROWS] == list(COMMAND_TYPES)
