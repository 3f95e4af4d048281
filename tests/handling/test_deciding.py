"""Stage 3, decide: every command that was read has one answer."""

from datetime import timedelta
from typing import Any

import pytest

from service.contracts.commands import MAX_TAGS
from service.contracts.problems import Code, Problem
from service.contracts.status import Status
from service.domain.decided import MAX_EVENT_BYTES
from service.domain.definitions import Definition, UnusableDefinition
from service.handling.deciding import Accepted, Answer, Decider, Misplaced, Refused
from service.handling.incoming import CommandReader, ReplyAddress, Unreadable
from service.kafka.murmur2 import partition_of
from service.kafka.records import Record
from tests.handling.pure import (
    AT,
    EXECUTE,
    EXECUTION,
    REPORT,
    START,
    STOP,
    TASK,
    WINDOW,
    accepted,
    answer,
    command_record,
    definition,
    execution,
    known,
    lifecycle,
    raw_record,
    reply_headers,
    state_after,
)

PARTITIONS = 4
HERE = partition_of(EXECUTION.encode(), PARTITIONS)
LATER = AT + timedelta(minutes=1)
MINE = "task-execution.replies.mine"
UNUSABLE = UnusableDefinition("sales:report", "1.0.0", "no type")


def problem_of(found: Answer) -> Problem:
    assert isinstance(found, Refused), found
    return found.problem


# -- accepted


def test_an_accepted_command_has_its_events_as_json_and_the_state_after_them() -> None:
    record = command_record("ExecuteTask", TASK, headers=reply_headers())
    found = accepted(record)
    assert found.record == record
    assert found.reply_to == ReplyAddress("task-execution.replies", b"re:1")
    assert (found.envelope.id, found.envelope.source) == ("1", "/tests")
    ((event, body),) = zip(found.decision.events, found.bodies, strict=True)
    assert (event.execution_id, event.created_by, event.occurred_at) == (EXECUTION, "/tests", AT)
    assert b'"resolvedInputs":{"day":"monday","top":10}' in body
    assert (found.execution_id, execution(found).status, execution(found).sequence) == (EXECUTION, Status.PENDING, 1)


def test_an_end_sets_the_timer_that_forgets_the_execution_after_the_window() -> None:
    (timer,) = accepted(STOP, state_after(EXECUTE), at=LATER).decision.timers
    assert (timer.execution_id, timer.due) == (EXECUTION, LATER + WINDOW)


def test_a_lifecycle_command_is_checked_against_the_definition_of_its_execution() -> None:
    wrong = lifecycle("SucceedTaskExecution", id_="3", outputs={"rows": "many"})
    problem = problem_of(answer(wrong, state_after(EXECUTE, START)))
    assert problem.code == Code.INVALID_OUTPUTS
    accepted(wrong, state_after(EXECUTE, START), known(None))


def test_another_command_with_the_same_payload_is_another_command() -> None:
    running = state_after(EXECUTE, START)
    assert execution(accepted(lifecycle("StopTaskExecution", id_="9"), running)).status == Status.STOPPED
    assert problem_of(answer(lifecycle("StopTaskExecution", id_="2"), running)).code == Code.IDEMPOTENCY_CONFLICT


def sized(count: int) -> Record:
    return command_record("ExecuteTask", {**TASK, "inputs": {"day": "d" * count}})


def test_the_largest_event_is_accepted_and_the_command_of_one_that_is_larger_refused() -> None:
    large = definition(
        inputVariables=[
            {"name": "day", "type": "string"},
            {"name": "default", "type": "string", "required": False, "defaultValue": "d" * (MAX_EVENT_BYTES - 9_000)},
        ]
    )
    (body,) = accepted(sized(0), using=known(large)).bodies
    room = MAX_EVENT_BYTES - len(body)
    assert len(accepted(sized(room), using=known(large)).bodies[0]) == MAX_EVENT_BYTES
    problem = problem_of(answer(sized(room + 1), using=known(large)))
    assert problem.code == Code.PAYLOAD_TOO_LARGE
    assert f"TaskExecutionCreated has {MAX_EVENT_BYTES + 1} bytes; at most {MAX_EVENT_BYTES}" in problem.detail


# -- misplaced


@pytest.mark.parametrize("record", [EXECUTE, START])
def test_a_command_whose_execution_is_unknown_goes_to_the_owner_as_it_is(record: Record) -> None:
    for partition in range(PARTITIONS):
        incoming = CommandReader(partition, PARTITIONS).read(record)
        found = Decider(partition, PARTITIONS, WINDOW).answer(incoming, None, REPORT, AT)
        assert (found == Misplaced(record, HERE)) == (partition != HERE)


def test_a_command_whose_execution_is_known_is_where_it_belongs() -> None:
    elsewhere = (HERE + 1) % PARTITIONS
    incoming = CommandReader(elsewhere, PARTITIONS).read(START)
    decider = Decider(elsewhere, PARTITIONS, WINDOW)
    assert isinstance(decider.answer(incoming, state_after(EXECUTE), REPORT, AT), Accepted)


# -- reply topics that cannot be written


def asking(type_: str, body: dict[str, Any]) -> Record:
    return command_record(type_, body, headers=reply_headers(MINE))


def test_a_command_whose_reply_cannot_be_written_is_refused_unreplied_wherever_it_is() -> None:
    incoming = CommandReader(0, PARTITIONS).read(asking("ExecuteTask", TASK))
    using = known(definition(), **{MINE: "the topic does not exist"})
    for partition in range(PARTITIONS):
        found = Decider(partition, PARTITIONS, WINDOW).answer(incoming, None, using, AT)
        assert isinstance(found, Refused)
        assert (found.problem.code, found.reply_to) == (Code.INVALID_REPLY_TO, None)
        assert f"{MINE!r}: the topic does not exist" in found.problem.detail


def test_a_command_that_cannot_be_read_is_told_its_own_problem_first() -> None:
    record = asking("Nonsense", {})
    found = answer(record, using=known(None, **{MINE: "the topic does not exist"}))
    assert isinstance(found, Refused)
    assert (found.problem.code, found.reply_to, found.record) == (Code.UNKNOWN_COMMAND, None, record)


@pytest.mark.parametrize("record", [asking("Nonsense", {}), asking("StartTaskExecution", {"executionId": EXECUTION})])
def test_the_flaw_of_another_topic_keeps_no_reply_back(record: Record) -> None:
    found = answer(record, using=known(None, **{"task-execution.replies": "it is full"}))
    assert isinstance(found, Refused)
    assert found.reply_to == ReplyAddress(MINE, b"re:1")


# -- all that is wrong, at once


def test_an_execute_task_is_told_what_its_schema_and_its_definition_find_wrong() -> None:
    body = {**TASK, "inputs": {"day": 7, "top": "ten"}, "colour": "red", "tags": ["t"] * (MAX_TAGS + 1)}
    problem = problem_of(answer(command_record("ExecuteTask", body)))
    assert problem.code == Code.INVALID_COMMAND
    assert sorted(error.pointer for error in problem.errors) == ["#/colour", "#/inputs/day", "#/inputs/top", "#/tags"]


@pytest.mark.parametrize(
    ("found", "pointers"),
    [(definition(), ["#/colour"]), (None, ["#/colour", "#/taskId"]), (UNUSABLE, ["#/colour", "#/taskVersion"])],
)
def test_whether_the_definition_serves_is_told_as_well(found: Definition | None, pointers: list[str]) -> None:
    problem = problem_of(answer(command_record("ExecuteTask", {**TASK, "colour": "red"}), using=known(found)))
    assert [error.pointer for error in problem.errors] == pointers


@pytest.mark.parametrize("value", [b"{", b"[]", None])
def test_what_says_nothing_of_a_task_has_its_own_problem_only(value: bytes | None) -> None:
    record = raw_record(value, EXECUTE.headers)
    incoming = CommandReader(0, 1).read(record)
    assert isinstance(incoming, Unreadable)
    assert problem_of(answer(record)) == incoming.problem


def test_a_command_that_is_not_possible_is_refused_and_replied() -> None:
    body = {"executionId": EXECUTION, "outputs": {}}
    record = command_record("SucceedTaskExecution", body, id_="2", headers=reply_headers())
    found = answer(record, state_after(EXECUTE))
    assert isinstance(found, Refused)
    assert found.problem.code == Code.INVALID_TRANSITION
    assert (found.record, found.reply_to) == (record, ReplyAddress("task-execution.replies", b"re:1"))
