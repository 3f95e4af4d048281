"""From an envelope to a command: everything that is wrong is said at once."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.commands import COMMAND_TYPES, MAX_MESSAGE, ExecuteTask, StartTaskExecution, StopTaskExecution
from service.contracts.definitions import TaskDefinition
from service.contracts.envelope import Envelope
from service.contracts.problems import Code, Problem, RejectedError
from service.domain.definitions import Definition, UnusableDefinition
from service.domain.parsing import UnfitExecuteTaskError, all_errors, parse_command

ID = "0b5d2b4e-1c1a-5f0e-9d5c-0123456789ab"
LOAD = Definition(
    TaskDefinition.model_validate(
        {
            "taskId": "etl:load",
            "version": "1.0.0",
            "status": "PUBLISHED",
            "type": "sql",
            "inputVariables": [{"name": "day", "type": "string"}],
        }
    )
)
GOOD = {"taskId": "etl:load", "taskVersion": "1.0.0", "inputs": {"day": "monday"}}


def envelope(type_: str, data: Any, subject: str | None = None) -> Envelope:
    return Envelope("1", "/tests", type_, subject, data)


def refused(type_: str, data: Any, subject: str | None = None, using: Definition = LOAD) -> Problem:
    """The whole problem, as the write side completes it: with what the definition finds."""
    with pytest.raises(RejectedError) as refusal:
        parse_command(envelope(type_, data, subject))
    error = refusal.value
    if not isinstance(error, UnfitExecuteTaskError) or error.rest is None:
        return error.problem
    named = (error.rest.task_id, error.rest.task_version) == (using.task_id, using.version)
    return all_errors(error.problem, error.rest, using if named else None)


def errors(problem: Problem) -> dict[str, str]:
    return {error.pointer: error.detail for error in problem.errors}


def test_a_good_command_is_parsed_whatever_its_definition_says() -> None:
    command = parse_command(envelope("ExecuteTask", {**GOOD, "inputs": {}, "tags": ["a"]}))
    assert command == ExecuteTask(task_id="etl:load", task_version="1.0.0", inputs={}, tags=("a",))


def test_an_upper_case_id_is_lowered_and_may_stand_in_the_subject_as_well() -> None:
    command = parse_command(envelope("StopTaskExecution", {"executionId": ID.upper()}, ID))
    assert command == StopTaskExecution(execution_id=ID)


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    problem = refused("executeTask", GOOD)
    assert problem.code is Code.UNKNOWN_COMMAND
    assert all(name in problem.detail for name in COMMAND_TYPES)


@pytest.mark.parametrize("data", [None, [], "x", 1, True])
@pytest.mark.parametrize("type_", COMMAND_TYPES)
def test_data_must_be_an_object(type_: str, data: Any) -> None:
    problem = refused(type_, data, ID)
    assert (problem.code, errors(problem)) == (Code.INVALID_COMMAND, {"#": "must be an object"})


def test_schema_and_inputs_are_checked_together() -> None:
    assert errors(refused("ExecuteTask", {**GOOD, "inputs": {"dya": 1}, "task_id": "a:b", "tags": [1, "", "a\n"]})) == {
        "#/task_id": f"unknown; allowed are: {', '.join(ExecuteTask.wire_names())}",
        "#/tags/0": "must be a string",
        "#/tags/1": "must have at least 1 character",
        "#/tags/2": "control characters are not allowed",
        "#/inputs/day": "required, but missing",
        "#/inputs/dya": "unknown; allowed are: day",
    }


@pytest.mark.parametrize(("type_", "name"), [("FailTaskExecution", "errorMessage"), ("StopTaskExecution", "reason")])
def test_a_text_that_is_too_long_is_cut_and_says_so(type_: str, name: str) -> None:
    """Refused, it would leave the execution open."""
    for length in (MAX_MESSAGE, MAX_MESSAGE + 1, 1_000_000):
        data = {"executionId": ID, name: "é" * length}
        text = parse_command(envelope(type_, data)).model_dump(by_alias=True)[name]
        if length == MAX_MESSAGE:
            assert text == data[name]
        else:
            assert len(text) == MAX_MESSAGE
            assert text.endswith(f"é… [cut: {length} characters came, 65536 are kept]")


def test_names_are_camel_case_on_the_wire() -> None:
    found = errors(refused("StopTaskExecution", {"execution_id": ID}))
    assert found["#/executionId"] == "required, but missing"
    assert found["#/execution_id"] == "unknown; allowed are: executionId, reason, requestedBy"
    assert "#/task_id" in errors(refused("ExecuteTask", {"task_id": "etl:load", "taskVersion": "1.0.0", "inputs": {}}))


def test_a_missing_definition_is_reported_together_with_the_schema() -> None:
    found = errors(refused("ExecuteTask", {**GOOD, "taskVersion": "2.0.0", "createdBy": ""}))
    assert found == {"#/createdBy": "must have at least 1 character", "#/taskId": "no definition etl:load 2.0.0"}


def test_an_unusable_definition_is_reported_together_with_the_schema() -> None:
    problem = refused(
        "ExecuteTask", {**GOOD, "createdBy": ""}, using=UnusableDefinition("etl:load", "1.0.0", "#: oops")
    )
    assert errors(problem)["#/taskVersion"] == "cannot be used: #: oops"


@pytest.mark.parametrize("broken", [{"taskId": 1}, {"taskVersion": "1"}, {"inputs": []}])
def test_inputs_are_not_checked_where_the_definition_or_they_cannot_be_read(broken: dict[str, Any]) -> None:
    assert list(errors(refused("ExecuteTask", {**GOOD, "inputs": {}, **broken}))) == [f"#/{next(iter(broken))}"]


def test_good_inputs_add_no_errors() -> None:
    assert list(errors(refused("ExecuteTask", {**GOOD, "createdBy": 1}))) == ["#/createdBy"]


def test_allowed_values_are_listed() -> None:
    found = errors(refused("SkipTaskExecution", {"executionId": ID, "reason": "no", "node": "a"}))
    reasons = "'upstream_failed', 'upstream_stopped', 'upstream_skipped' or 'condition_false'"
    assert found == {"#/reason": f"must be {reasons}"}


@pytest.mark.parametrize("data", [{"executionId": ID}, {"executionId": ID, "reason": 1}])
def test_the_subject_names_the_same_execution(data: dict[str, Any]) -> None:
    problem = refused("StopTaskExecution", data, "another")
    assert problem.code is Code.INVALID_COMMAND
    assert errors(problem)["#/executionId"].startswith("differs from the CloudEvents subject 'another'")


def test_the_subject_of_an_execute_task_is_free() -> None:
    assert isinstance(parse_command(envelope("ExecuteTask", GOOD, "anything")), ExecuteTask)


@pytest.mark.parametrize("version", ["draft", "0.0.0", "1.2.3-rc.1+build.5", "10.20.30-0a"])
def test_versions(version: str) -> None:
    assert parse_command(envelope("ExecuteTask", {**GOOD, "taskVersion": version}))


@pytest.mark.parametrize(
    "version", ["", "1", "1.2", "01.2.3", "1.2.3-01", "v1.2.3", "1.2.3\n", "\u0661.2.3", "1.2.3-", "DRAFT"]
)
def test_what_is_no_version(version: str) -> None:
    assert list(errors(refused("ExecuteTask", {**GOOD, "taskVersion": version}))) == ["#/taskVersion"]


@pytest.mark.parametrize("id_", ["", "x", ID + "\n", ID[:-1], ID.replace("-", ""), "{" + ID + "}"])
def test_what_is_no_execution_id(id_: str) -> None:
    assert list(errors(refused("StartTaskExecution", {"executionId": id_}))) == ["#/executionId"]


def test_a_problem_stays_small_whatever_came() -> None:
    problem = refused("ExecuteTask", {**GOOD, **{f"{n}-{'x' * 50_000}": n for n in range(300)}})
    assert len(problem.errors) == 101
    assert problem.errors[-1].detail == "there are more errors than are listed"
    assert len(problem.model_dump_json()) < 500_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [alias for model in COMMAND_TYPES.values() for alias in model.wire_names()]


@given(
    type_=st.sampled_from(list(COMMAND_TYPES)) | st.text(),
    data=JSON | st.dictionaries(st.sampled_from(NAMES), JSON | st.just(ID) | st.just("etl:load") | st.just("1.0.0")),
    subject=st.none() | st.text(),
)
def test_anything_is_parsed_or_rejected(type_: str, data: Any, subject: str | None) -> None:
    with suppress(RejectedError):
        assert isinstance(parse_command(envelope(type_, data, subject)), COMMAND_TYPES[type_])


def test_a_command_is_what_its_type_says() -> None:
    command = parse_command(envelope("StartTaskExecution", {"executionId": ID}))
    assert command == StartTaskExecution(execution_id=ID)
