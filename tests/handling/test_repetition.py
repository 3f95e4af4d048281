"""Stage 3, decide: who repeats a command is told what the first asker was told."""

import json
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.replies import Outcome, Position
from service.contracts.status import Status
from service.domain.definitions import Definition, UnusableDefinition
from service.domain.execution import Execution
from service.domain.view import PAYLOADS
from service.handling.deciding import Known, Repeated
from service.handling.incoming import ReplyAddress
from service.handling.reply_records import reply_record
from service.kafka.records import Record
from tests.handling.pure import (
    AT,
    EXECUTE,
    FAIL,
    REPORT,
    SENT_MS,
    SKIP,
    START,
    STOP,
    SUCCEED,
    TASK,
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

CLAIM = lifecycle("StartTaskExecution", owner="worker-7", lease="PT30S")
PLACED = {
    **TASK,
    "dependsOn": [{"executionId": "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e01", "node": "collect", "condition": "ok"}],
    "notBefore": "2026-03-02T05:00:00Z",
    "retryOf": "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e02",
    "attempt": 3,
}
TRIED_AGAIN = {**TASK, "retry": {"maxAttempts": 2}, "notBefore": "2026-03-02T03:00:00Z", "attempt": 1}
LATER = AT + timedelta(minutes=1)
MUCH_LATER = AT + timedelta(hours=1)
MINE = "task-execution.replies.mine"
UNUSABLE = UnusableDefinition("sales:report", "1.0.0", "no type")
DRAFT = definition(status="DRAFT")
OTHER = definition(inputVariables=[{"name": "week", "type": "number"}])


def repeated(record: Record, state: Execution | None, using: Known = REPORT) -> Repeated:
    again = raw_record(record.value, record.headers, offset=9, timestamp=SENT_MS + 1)
    found = answer(again, state, using, MUCH_LATER)
    assert isinstance(found, Repeated), found
    assert (found.record, found.outcome) == (again, Outcome.DUPLICATE)
    return found


@pytest.mark.parametrize(
    ("record", "before", "told"),
    [
        (EXECUTE, (), {"resolved_inputs": {"day": "monday", "top": 10}}),
        (START, (EXECUTE,), {}),
        (CLAIM, (EXECUTE,), {"owner": "worker-7"}),
        (STOP, (EXECUTE,), {}),
        (SKIP, (EXECUTE,), {"skip_reason": "upstream_failed: collect"}),
        (FAIL, (EXECUTE, START), {"error_message": "disk full"}),
        (SUCCEED, (EXECUTE, START), {"outputs": {"rows": 3}}),
    ],
)
def test_who_repeats_a_command_is_told_the_payload_that_it_carries(
    record: Record, before: tuple[Record, ...], told: dict[str, Any]
) -> None:
    execution = repeated(record, state_after(*before, record)).execution
    payloads = {name: payload for name in PAYLOADS if (payload := getattr(execution, name)) is not None}
    assert payloads == told


@pytest.mark.parametrize(
    ("record", "status", "started", "completed"),
    [
        (EXECUTE, Status.PENDING, None, None),
        (START, Status.RUNNING, LATER, None),
        (FAIL, Status.FAILURE, LATER, LATER + timedelta(minutes=1)),
    ],
)
def test_a_late_repetition_is_told_status_and_times_as_the_first_asker_was(
    record: Record, status: Status, started: object, completed: object
) -> None:
    execution = repeated(record, state_after(EXECUTE, START, FAIL)).execution
    assert (execution.status, execution.started_at, execution.completed_at) == (status, started, completed)
    assert execution.metadata.created_at == AT


@pytest.mark.parametrize("since", [None, UNUSABLE, DRAFT, OTHER])
def test_a_repeated_execute_task_is_told_its_inputs_when_the_definition_no_longer_serves(
    since: Definition | None,
) -> None:
    assert repeated(EXECUTE, state_after(EXECUTE), known(since)).execution.resolved_inputs == {"day": "monday"}


def test_a_repeated_command_is_answered_to_where_this_one_asks() -> None:
    asker = command_record("ExecuteTask", TASK, headers=reply_headers(MINE))
    assert repeated(asker, state_after(EXECUTE)).reply_to == ReplyAddress(MINE, b"re:1")


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ((command_record("ExecuteTask", PLACED),), {"dependsOn", "notBefore", "retryOf", "attempt"}),
        ((command_record("ExecuteTask", TRIED_AGAIN),), set()),
        ((command_record("ExecuteTask", TRIED_AGAIN), START, FAIL), {"retriedBy"}),
        ((EXECUTE, CLAIM), {"owner"}),
    ],
)
def test_a_duplicate_is_told_all_that_the_first_asker_was(records: tuple[Record, ...], told: set[str]) -> None:
    *before, last = records
    here = Position(partition=0, offset=1)
    first = json.loads(reply_record(accepted(last, state_after(*before), at=LATER), here, LATER).value or b"")
    again = json.loads(reply_record(repeated(last, _state(records)), here, LATER).value or b"")
    assert again == first | {"outcome": "duplicate"}
    own = {"dependsOn", "notBefore", "retryOf", "attempt", "retriedBy", "owner"}
    assert own & first["taskExecution"].keys() == told


def _state(records: tuple[Record, ...]) -> Execution | None:
    *before, last = records
    return execution(accepted(last, state_after(*before), at=LATER))
