"""TaskExecution as sentences: given what happened, when a command comes, then this happens."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

import pytest

from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import TaskDefinition
from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.problems import Code, Problem, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision, Request
from service.domain.decision import decide, repeated
from service.domain.definitions import MAX_REASON, Definition, UnusableDefinition
from service.domain.execution import MAX_REMEMBERED, Execution, as_told, folded
from service.domain.identity import command_hash
from service.domain.ringing import Ringing, ring
from service.domain.view import describe, view
from tests.ids import hash_of, id_of

T = [Timestamp(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=n) for n in range(10)]
WINDOW = timedelta(hours=1)
NOW = Ringing(at=T[9], kept=WINDOW, since=T[0], until=T[9])
ID = "11111111-1111-5111-8111-111111111111"  # of the first command, and so of the execution


def definition(**changes: str) -> Definition:
    body = {
        "taskId": "etl:load",
        "version": "1.0.0",
        "status": "PUBLISHED",
        "type": "pyspark_operator",
        "inputVariables": [{"name": "day", "type": "string"}, {"name": "note", "type": "string", "required": False}],
        "outputVariables": [{"name": "rows", "type": "number"}],
    }
    return Definition(TaskDefinition.model_validate({**body, **changes}))


ETL = definition()
UNUSABLE = UnusableDefinition("etl:load", "1.0.0", "#/type: required, but missing")
EXECUTE = ExecuteTask(task_id="etl:load", task_version="1.0.0", inputs={"day": "monday"}, tags=("nightly",))
START = StartTaskExecution(execution_id=ID, spark_application_id="app-1")
SUCCEED = SucceedTaskExecution(execution_id=ID, outputs={"rows": 3})
FAIL = FailTaskExecution(execution_id=ID, error_message="disk full")
STOP = StopTaskExecution(execution_id=ID, reason="not needed", requested_by="ann")
SKIP = SkipTaskExecution(execution_id=ID, reason=SkipCause.UPSTREAM_FAILED, node="collect_data")


def request(command: Command, id_: str, at: Timestamp) -> Request:
    content = command_hash(type(command).__name__, command.model_dump(mode="json", exclude_none=True))
    return Request(command, id_of(id_), content, "/tests", at)


def when(
    command: Command,
    given: Sequence[Event] = (),
    *,
    id_: str = "id-9",
    at: Timestamp = T[9],
    using: Definition | None = ETL,
) -> list[Event]:
    return list(decided(command, given, id_=id_, at=at, using=using).events)


def decided(
    command: Command,
    given: Sequence[Event] = (),
    *,
    id_: str = "id-9",
    at: Timestamp = T[9],
    using: Definition | None = ETL,
) -> Decision:
    return decide(folded(None, given), request(command, id_, at), using, WINDOW)


def state_after(events: Sequence[Event]) -> Execution:
    state = folded(None, events)
    assert state
    return state


def history(*commands: Command) -> list[Event]:
    """What the commands made happen: number n has the id `id-n`, the first one `ID`, and came at `T[n]`."""
    events: list[Event] = []
    for n, command in enumerate(commands, start=1):
        events += when(command, events, id_=ID if n == 1 else f"id-{n}", at=T[n])
    return events


def refused(
    command: Command, given: Sequence[Event] = (), *, id_: str = "id-9", using: Definition | None = ETL
) -> Problem:
    with pytest.raises(RejectedError) as refusal:
        when(command, given, id_=id_, using=using)
    return refusal.value.problem


SHARED: dict[str, Any] = {
    "execution_id": ID,
    "task_id": "etl:load",
    "task_version": "1.0.0",
    "created_by": "/tests",
    "created_at": T[1],
    "tags": ("nightly",),
}
RAN: dict[str, Any] = {**SHARED, "sequence": 3, "previous_status": "RUNNING", "started_at": T[2]}
RAN |= {"occurred_at": T[9], "completed_at": T[9], "spark_application_id": "app-1"}
WAITED: dict[str, Any] = {**SHARED, "sequence": 2, "previous_status": "PENDING"}
WAITED |= {"occurred_at": T[9], "completed_at": T[9]}


def by(command: Command, id_: str = "id-9") -> dict[str, Any]:
    return {"command_id": id_of(id_), "command_hash": request(command, id_, T[0]).command_hash}


CREATED = TaskExecutionCreated(
    **SHARED, **by(EXECUTE, ID), sequence=1, occurred_at=T[1], status=Status.PENDING,
    resolved_inputs={"day": "monday", "note": None},
)  # fmt: skip
STARTED = TaskExecutionStarted(
    **SHARED, **by(START), sequence=2, occurred_at=T[9], status=Status.RUNNING, previous_status=Status.PENDING,
    started_at=T[9],
    spark_application_id="app-1",
)  # fmt: skip
SUCCEEDED = TaskExecutionSucceeded(**RAN, **by(SUCCEED), status=Status.SUCCESS, outputs={"rows": 3})
FAILED = TaskExecutionFailed(**RAN, **by(FAIL), status=Status.FAILURE, error_message="disk full")
STOPPED: dict[str, Any] = {**by(STOP), "status": Status.STOPPED, "requested_by": "ann", "reason": "not needed"}
SKIPPED = TaskExecutionSkipped(**WAITED, **by(SKIP), status=Status.SKIPPED, skip_reason="upstream_failed: collect_data")


def test_executing_a_task_creates_a_pending_execution_with_its_inputs_resolved() -> None:
    assert when(EXECUTE, id_=ID, at=T[1]) == [CREATED]


def test_the_creator_is_whom_the_command_names() -> None:
    (event,) = when(EXECUTE.model_copy(update={"created_by": "ann"}))
    assert event.created_by == "ann"


def test_a_pending_execution_can_start_or_end_without_having_run() -> None:
    assert when(START, given=[CREATED]) == [STARTED]
    assert when(STOP, given=[CREATED]) == [TaskExecutionStopped(**WAITED, **STOPPED)]
    assert when(SKIP, given=[CREATED]) == [SKIPPED]


def test_a_running_execution_can_end() -> None:
    running = history(EXECUTE, START)
    assert when(SUCCEED, given=running) == [SUCCEEDED]
    assert when(FAIL, given=running) == [FAILED]
    assert when(STOP, given=running) == [TaskExecutionStopped(**RAN, **STOPPED)]


def test_who_stops_it_is_the_source_unless_the_command_says() -> None:
    (event,) = when(StopTaskExecution(execution_id=ID), given=[CREATED])
    assert isinstance(event, TaskExecutionStopped)
    assert event.requested_by == "/tests"


# Repeats


def test_the_same_execute_task_again_changes_nothing() -> None:
    assert when(EXECUTE, given=[CREATED], id_=ID) == []


def test_the_same_identity_with_another_payload_is_a_conflict() -> None:
    other = EXECUTE.model_copy(update={"inputs": {"day": "tuesday"}})
    problem = refused(other, [CREATED], id_=ID)
    assert (problem.code, problem.status) == (Code.IDEMPOTENCY_CONFLICT, 409)


def test_the_same_identity_with_another_type_is_a_conflict() -> None:
    assert refused(STOP, history(EXECUTE, START), id_="id-2").code is Code.IDEMPOTENCY_CONFLICT


@pytest.mark.parametrize("path", [[START], [STOP], [SKIP], [START, SUCCEED], [START, FAIL], [START, STOP]])
def test_the_same_content_under_another_identity_repeats_the_last_command(path: list[Command]) -> None:
    assert when(path[-1], given=history(EXECUTE, *path)) == []


def test_stopping_a_stopped_execution_changes_nothing_whoever_asks() -> None:
    assert when(StopTaskExecution(execution_id=ID, requested_by="bob"), given=history(EXECUTE, STOP)) == []


def test_a_start_redelivered_after_the_end_is_answered_as_it_was_the_first_time() -> None:
    state = state_after(history(EXECUTE, START, SUCCEED))
    told = repeated(state, request(START, "id-2", T[9]))
    assert told
    record = describe(as_told(state, told))
    assert (record.status, record.started_at, record.completed_at) == (Status.RUNNING, T[2], None)
    assert record.metadata.spark_application_id == "app-1"


def test_a_creation_redelivered_after_the_end_is_answered_as_it_was_the_first_time() -> None:
    state = state_after(history(EXECUTE, START, SUCCEED))
    told = repeated(state, request(EXECUTE, ID, T[9]))
    assert told
    record = describe(as_told(state, told), resolved_inputs={"day": "monday", "note": None})
    assert record == view([CREATED])


def test_a_start_under_another_identity_after_the_end_is_not_allowed() -> None:
    assert refused(START, history(EXECUTE, START, SUCCEED)).code is Code.INVALID_TRANSITION


def test_a_start_and_its_creation_in_the_same_millisecond_are_told_apart() -> None:
    created = when(EXECUTE, id_=ID, at=T[1])
    state = state_after([*created, *when(START, created, id_="id-2", at=T[1])])
    first, second = (repeated(state, request(command, id_, T[9])) for command, id_ in ((EXECUTE, ID), (START, "id-2")))
    assert first
    assert second
    assert (describe(as_told(state, first)).started_at, describe(as_told(state, second)).started_at) == (None, T[1])


def noted(number: int) -> TaskExecutionStarted:
    """An event that is neither creation, start nor end: as a later version may have them."""
    return TaskExecutionStarted(
        **SHARED, sequence=number, occurred_at=T[3], status=Status.RUNNING, started_at=T[2],
        command_id=id_of(f"id-{number}"), command_hash=hash_of(f"{number}"),
    )  # fmt: skip


def test_of_very_many_commands_the_first_and_the_newest_are_remembered() -> None:
    state = state_after([CREATED, *(noted(number) for number in range(2, 400))])
    assert state.sequence == 399
    known = [command.sequence for command in state.commands]
    assert known == [1, *range(400 - MAX_REMEMBERED + 1, 400)]


def test_of_a_command_with_several_events_the_last_is_told() -> None:
    second = TaskExecutionStarted(
        **SHARED, **by(EXECUTE, ID), sequence=2, occurred_at=T[2], status=Status.RUNNING, started_at=T[2]
    )
    state = state_after([CREATED, second])
    assert [(command.sequence, command.status) for command in state.commands] == [(2, Status.RUNNING)]
    assert decided(EXECUTE, [CREATED, second], id_=ID).repeats == state.commands[0]


# Time


def test_when_it_changed_last_is_what_the_event_says_not_what_the_status_suggests() -> None:
    state = state_after([*history(EXECUTE, START), noted(3)])
    assert (state.started_at, state.occurred_at) == (T[2], T[3])


def test_the_end_of_an_execution_sets_the_timer_that_forgets_it() -> None:
    assert [decided(command).timers for command in (EXECUTE,)] == [()]
    assert decided(START, history(EXECUTE)).timers == ()
    (timer,) = decided(FAIL, history(EXECUTE, START)).timers
    assert (timer.due, timer.execution_id) == (T[9] + WINDOW, ID)
    finished = history(EXECUTE, START, FAIL)
    (due,) = decided(FAIL, history(EXECUTE, START), at=T[3]).timers
    assert ring(state_after(finished), due, NOW) == Decision(forgets=True)


def test_a_timer_of_a_state_that_is_no_more_does_nothing() -> None:
    (timer,) = decided(FAIL, history(EXECUTE, START)).timers
    assert ring(None, timer, NOW) == Decision()
    assert ring(state_after(history(EXECUTE, START)), timer, NOW) == Decision()
    assert ring(state_after(history(EXECUTE, START, FAIL)), timer, NOW) == Decision()  # it ended at another time


def test_a_clock_that_goes_back_makes_no_negative_durations() -> None:
    started = when(START, given=[CREATED], id_="id-2", at=T[0])
    assert started[0].started_at == T[1]
    ended = when(FAIL, given=[CREATED, *started], id_="id-3", at=T[0])
    assert (ended[0].started_at, ended[0].completed_at, ended[0].occurred_at) == (T[1], T[1], T[1])


# Definitions


@pytest.mark.parametrize(
    ("using", "code", "pointer"),
    [
        (None, Code.DEFINITION_NOT_FOUND, "#/taskId"),
        (definition(status="DRAFT"), Code.DEFINITION_NOT_PUBLISHED, "#/taskVersion"),
        (UNUSABLE, Code.DEFINITION_UNUSABLE, "#/taskVersion"),
    ],
)
def test_only_what_is_published_can_be_executed(using: Definition | None, code: Code, pointer: str) -> None:
    problem = refused(EXECUTE, using=using)
    assert (problem.code, [error.pointer for error in problem.errors]) == (code, [pointer])
    assert "etl:load 1.0.0" in problem.detail


def test_a_definition_that_cannot_be_used_says_why() -> None:
    problem = refused(EXECUTE, using=UNUSABLE)
    assert problem.detail.endswith("What is wrong with it: #/type: required, but missing")
    assert problem.errors[0].detail == "cannot be used: #/type: required, but missing"
    assert len(UnusableDefinition("a:b", "1.0.0", "x" * 10_000).flaw or "") == MAX_REASON


def test_inputs_that_do_not_fit_are_refused_all_at_once() -> None:
    problem = refused(EXECUTE.model_copy(update={"inputs": {"note": 1, "x/y": 2}}))
    assert problem.code is Code.INVALID_INPUTS
    assert [error.pointer for error in problem.errors] == ["#/inputs/day", "#/inputs/note", "#/inputs/x~1y"]


def test_outputs_that_do_not_fit_are_refused() -> None:
    command = SucceedTaskExecution(execution_id=ID, outputs={"rows": "3", "more": 1})
    problem = refused(command, history(EXECUTE, START))
    assert problem.code is Code.INVALID_OUTPUTS
    assert [error.pointer for error in problem.errors] == ["#/outputs/rows", "#/outputs/more"]


def test_outputs_are_kept_if_the_definition_was_withdrawn_meanwhile() -> None:
    assert [event.status for event in when(SUCCEED, history(EXECUTE, START), using=None)] == ["SUCCESS"]


def test_a_definition_that_became_unusable_meanwhile_stops_no_execution() -> None:
    assert when(START, [CREATED], using=UNUSABLE)[0].spark_application_id == "app-1"
    assert [event.status for event in when(SUCCEED, history(EXECUTE, START), using=UNUSABLE)] == ["SUCCESS"]


def test_only_a_pyspark_task_has_a_spark_application() -> None:
    problem = refused(START, [CREATED], using=definition(type="sql"))
    assert (problem.code, problem.errors[0].pointer) == (Code.SPARK_NOT_ALLOWED, "#/sparkApplicationId")
    without = StartTaskExecution(execution_id=ID)
    assert when(without, [CREATED], using=definition(type="sql"))[0].spark_application_id is None
