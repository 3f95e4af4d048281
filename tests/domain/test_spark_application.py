"""A worker tells which Spark application runs what it has claimed, once its cluster has named it."""

from datetime import UTC, timedelta

import pytest

from service.contracts.commands import (
    Command,
    ExecuteTask,
    HeartbeatTaskExecution,
    StartTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskDefinition
from service.contracts.events import Event, TaskExecutionProgressed
from service.contracts.problems import Code, RejectedError
from service.contracts.timestamps import Timestamp
from service.domain.decided import Request
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.domain.view import view
from tests.ids import hash_of, id_of

AT = Timestamp(2026, 1, 1, 12, tzinfo=UTC)
ID = id_of("0")
EXECUTE = ExecuteTask(task_id="etl:load", task_version="1.0.0", inputs={})
CLAIM = StartTaskExecution(execution_id=ID, owner="worker-1", lease=timedelta(seconds=30))
SUCCEED = SucceedTaskExecution(execution_id=ID, outputs={})


def defined(type_: str = "pyspark_operator") -> Definition:
    body = {"taskId": "etl:load", "version": "1.0.0", "status": "PUBLISHED", "type": type_}
    return Definition(TaskDefinition.model_validate(body))


def beat(application: str | None, progress: float | None = None) -> HeartbeatTaskExecution:
    return HeartbeatTaskExecution(
        execution_id=ID, owner="worker-1", spark_application_id=application, progress=progress
    )


def events_of(*commands: Command, definition: Definition | None = None) -> list[Event]:
    state: Execution | None = None
    events: list[Event] = []
    for n, command in enumerate(commands):
        request = Request(command, id_of(str(n)), hash_of(str(n)), "/tests", AT + timedelta(seconds=n))
        decision = decide(state, request, definition or defined(), None)
        assert decision.state is None or type(decision.state) is Execution
        state = decision.state or state
        events.extend(decision.events)
    return events


def test_it_is_told_once_and_known_from_then_on() -> None:
    events = events_of(EXECUTE, CLAIM, beat("app-1"), beat("app-1"), beat(None), beat(None, 0.5), SUCCEED)
    assert [(type(event).__name__.removeprefix("TaskExecution"), event.spark_application_id) for event in events] == [
        ("Created", None), ("Started", None), ("Progressed", "app-1"), ("Progressed", "app-1"), ("Succeeded", "app-1"),
    ]  # fmt: skip
    assert view(events).metadata.spark_application_id == "app-1"


def test_a_run_that_begins_another_application_is_known_by_that() -> None:
    told = [event for event in events_of(EXECUTE, CLAIM, beat("app-1"), beat("app-2")) if event.sequence > 2]
    assert [type(event) for event in told] == [TaskExecutionProgressed] * 2
    assert [event.spark_application_id for event in told] == ["app-1", "app-2"]


def test_only_a_pyspark_task_has_one() -> None:
    with pytest.raises(RejectedError) as refusal:
        events_of(EXECUTE, CLAIM, beat("app-1"), definition=defined("sql"))
    assert refusal.value.problem.code == Code.SPARK_NOT_ALLOWED
    assert "pyspark_operator" in refusal.value.problem.detail
