"""What an asker is told, and where it can read its own write."""

import json
from datetime import timedelta
from typing import Any

import pytest

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.envelope import SOURCE
from service.contracts.problems import MAX_ERRORS, MAX_TEXT, Code, FieldError, problem
from service.contracts.replies import Position
from service.handling.batches import Outgoing
from service.handling.deciding import Refused, Repeated
from service.handling.reply_records import MAX_REPLY_BYTES, reply_record
from service.kafka.records import Record
from tests.handling.pure import (
    AT,
    EXECUTE,
    EXECUTION,
    FAIL,
    START,
    TASK,
    accepted,
    answer,
    command_record,
    definition,
    known,
    raw_record,
    reply_headers,
    state_after,
)  # fmt: skip

HERE = Position(partition=3, offset=41)
NOW = AT + timedelta(seconds=1)
TRACE = [("traceparent", b"00-1"), ("tracestate", b"a=1")]


def asked(record: Record) -> Record:
    """The same record, from somebody who wants a reply."""
    return raw_record(record.value, [*record.headers, *reply_headers(), *TRACE], offset=17, partition=2)


def refused(record: Record) -> Refused:
    found = answer(record)
    assert isinstance(found, Refused), found
    return found


def repeated(record: Record, *before: Record) -> Repeated:
    found = answer(record, state_after(*before))
    assert isinstance(found, Repeated), found
    return found


def told(record: Outgoing) -> Any:
    return json.loads(record.value or b"")


# -- what it says


def test_an_accepted_command_is_told_the_execution_with_its_payload_and_the_position() -> None:
    assert told(reply_record(accepted(EXECUTE), HERE, NOW)) == {
        "outcome": "accepted",
        "position": {"partition": 3, "offset": 41},
        "taskExecution": {
            "id": EXECUTION,
            "taskId": "sales:report",
            "taskVersion": "1.0.0",
            "status": "PENDING",
            "resolvedInputs": {"day": "monday", "top": 10},
            "metadata": {"createdAt": "2026-03-02T04:00:07.125Z", "createdBy": "/tests", "tags": []},
        },
    }


def test_a_lifecycle_command_is_told_what_it_said_and_when_it_was() -> None:
    execution = told(reply_record(accepted(FAIL, state_after(EXECUTE, START), at=NOW), HERE, NOW))["taskExecution"]
    assert (execution["status"], execution["errorMessage"]) == ("FAILURE", "disk full")
    assert "startedAt" in execution
    assert "completedAt" in execution
    assert "resolvedInputs" not in execution


def test_a_repeated_command_is_told_the_same_as_a_duplicate() -> None:
    first = told(reply_record(accepted(EXECUTE), HERE, NOW))
    again = told(reply_record(repeated(EXECUTE, EXECUTE, START), HERE, NOW))
    assert again == {**first, "outcome": "duplicate"}


def test_a_refused_command_is_told_its_problem_and_no_position() -> None:
    reply = told(reply_record(refused(START), HERE, NOW))
    assert (reply.pop("outcome"), reply.pop("problem")["code"]) == ("rejected", Code.EXECUTION_NOT_FOUND)
    assert reply == {}


# -- how it is addressed


def test_a_reply_is_a_cloud_event_that_the_asker_can_match() -> None:
    record = reply_record(accepted(asked(EXECUTE)), HERE, NOW)
    assert (record.key, record.timestamp) == (b"re:1", 1_772_424_008_125)
    assert sorted(record.headers) == sorted(
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"task-execution.commands/2/17/reply"),
            ("ce_source", SOURCE.encode()),
            ("ce_type", b"TaskCommandReply"),
            ("ce_subject", EXECUTION.encode()),
            ("ce_time", b"2026-03-02T04:00:08.125Z"),
            ("content-type", b"application/json"),
            ("correlation_id", b"re:1"),
            *TRACE,
        ]
    )


def test_the_subject_of_a_refusal_is_the_reply_itself() -> None:
    headers = dict(reply_record(refused(asked(START)), HERE, NOW).headers)
    assert headers["ce_subject"] == headers["ce_id"] == b"task-execution.commands/2/17/reply"
    assert [(name, value) for name, value in headers.items() if name.startswith("trace")] == TRACE


@pytest.mark.parametrize("correlation_id", [None, b"", b"\xff\x00", b"c" * MAX_ATTRIBUTE])
def test_a_correlation_id_comes_back_as_it_was_and_is_the_key(correlation_id: bytes | None) -> None:
    record = command_record("ExecuteTask", TASK, headers=reply_headers(correlation_id=correlation_id))
    reply = reply_record(accepted(record), HERE, NOW)
    assert reply.key == dict(reply.headers).get("correlation_id") == correlation_id
    assert ("correlation_id" in dict(reply.headers)) == (correlation_id is not None)


# -- how large it is


def large(count: int, unit: str = "d") -> Record:
    return command_record("ExecuteTask", {**TASK, "inputs": {"day": unit * count}})


def test_a_reply_of_exactly_the_limit_goes_whole_and_one_that_is_larger_without_its_payloads() -> None:
    room = MAX_REPLY_BYTES - len(reply_record(accepted(large(0)), HERE, NOW).value or b"")
    whole = reply_record(accepted(large(room)), HERE, NOW)
    assert len(whole.value or b"") == MAX_REPLY_BYTES
    cut = told(reply_record(accepted(large(room + 1)), HERE, NOW))
    expected = told(whole)
    del expected["taskExecution"]["resolvedInputs"]
    assert cut == expected


def test_large_outputs_are_left_out_too() -> None:
    free = known(definition(outputVariables=[{"name": "text", "type": "string"}]))
    body = {"executionId": EXECUTION, "outputs": {"text": "o" * MAX_REPLY_BYTES}}
    done = accepted(command_record("SucceedTaskExecution", body, id_="3"), state_after(EXECUTE, START), free)
    execution = told(reply_record(done, HERE, NOW))["taskExecution"]
    assert execution["status"] == "SUCCESS"
    assert "outputs" not in execution


def test_a_duplicate_that_is_too_large_goes_without_its_payloads_as_well() -> None:
    record = large(MAX_REPLY_BYTES)
    reply = told(reply_record(repeated(record, record), HERE, NOW))
    assert (reply["outcome"], reply["position"]) == ("duplicate", {"partition": 3, "offset": 41})
    assert "resolvedInputs" not in reply["taskExecution"]


def test_a_refusal_that_is_too_large_goes_without_its_list_of_errors() -> None:
    def refusal(pointer: str) -> Any:
        errors = (FieldError(pointer=pointer, detail="\U0001f600" * MAX_TEXT),) * MAX_ERRORS
        found = Refused(asked(START), None, problem(Code.INVALID_COMMAND, "See errors.", errors))
        return told(reply_record(found, HERE, NOW))["problem"]

    assert len(refusal("#")["errors"]) == MAX_ERRORS
    cut = refusal("#" * MAX_TEXT)
    assert (cut["code"], cut["detail"], cut["errors"]) == (Code.INVALID_COMMAND, "See errors.", [])
