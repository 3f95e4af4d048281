"""Values of marked variables are checked like all others, and then sealed: no event has them, and no hash."""

from typing import Any

import pytest

from service.contracts.definitions import TaskDefinition
from service.contracts.envelope import Envelope
from service.contracts.events import TaskExecutionCreated, TaskExecutionSucceeded, encode_event, read_event
from service.contracts.problems import Problem, RejectedError
from service.contracts.sensitive import Sensitive, sealed
from service.contracts.timestamps import Timestamp
from service.domain.decided import Request
from service.domain.decision import decide, repeated
from service.domain.definitions import Definition, InvalidDefinitionError, UnusableDefinition
from service.domain.execution import Execution, folded
from service.domain.identity import command_hash
from service.domain.parsing import parse_command
from service.domain.sensitive import marks, without
from tests.ids import id_of

AT = Timestamp.parse("2026-03-02T04:00:00Z")
VALUE = "canary"
VARIABLES: list[dict[str, Any]] = [
    {"name": "day", "type": "string"},
    {"name": "token", "type": "string", "sensitive": True, "validation": {"pattern": "^c", "maxLength": 9}},
    {"name": "login", "type": "object", "required": False, "sensitive": True},
    {"name": "codes", "type": "array", "required": False, "sensitive": True, "validation": {"minLength": 1}},
    {"name": "pin", "type": "number", "required": False, "sensitive": True, "validation": {"maxValue": 9}},
    {"name": "kind", "type": "string", "required": False, "sensitive": True, "validation": {"enum": ["a", "b"]}},
]


def definition(inputs: Any = VARIABLES, outputs: Any = VARIABLES[:2]) -> Definition:
    body = {"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
    return Definition(TaskDefinition.model_validate({**body, "inputVariables": inputs, "outputVariables": outputs}))


MARKED, PLAIN = definition(), definition(VARIABLES[:1], VARIABLES[:1])
MARKS = Sensitive(("token", "login", "codes", "pin", "kind"), ("token",))
GIVEN = {"day": "monday", "token": VALUE}


def seal(value: Any) -> dict[str, str | None]:
    return {"sealed": f"of {type(value).__name__}"}


def request(type_: str, id_: str, **data: Any) -> Request:
    named = {"taskId": "a:b", "taskVersion": "1.0.0"} if type_ == "ExecuteTask" else {"executionId": ID}
    whole = {**named, **data}
    command = parse_command(Envelope("1", "/tests", type_, None, whole))
    content = command_hash(type_, without(whole, MARKS))
    return Request(command, id_of(id_), content, "/tests", AT, command_hash(type_, whole))


ID = id_of("1")
EXECUTE = request("ExecuteTask", "1", inputs=GIVEN)
START = request("StartTaskExecution", "2")
SUCCEED = request("SucceedTaskExecution", "3", outputs=GIVEN)


def after(*requests: Request, using: Definition | None = MARKED) -> Execution:
    state = None
    for one in requests:
        state = folded(state, decide(state, one, using, None, seal).events)
    assert state
    return state


def refused(one: Request, state: Execution | None = None, using: Definition | None = MARKED) -> Problem:
    with pytest.raises(RejectedError) as refusal:
        decide(state, one, using, None, seal)
    return refusal.value.problem


# -- definitions


def test_a_definition_says_which_variables_are_sensitive() -> None:
    assert (MARKED.sensitive, PLAIN.sensitive) == (MARKS, None)
    assert UnusableDefinition("a:b", "1.0.0", "no type").sensitive is None
    assert definition(VARIABLES[:1]).sensitive == Sensitive((), ("token",))


@pytest.mark.parametrize("required", [True, False])
def test_a_default_of_a_sensitive_variable_is_refused_without_showing_it(required: bool) -> None:  # noqa: FBT001
    for where in ("inputs", "outputs"):
        with pytest.raises(InvalidDefinitionError) as refusal:
            definition(**{where: [{**VARIABLES[1], "required": required, "defaultValue": VALUE}]})
        (error,) = refusal.value.errors
        assert error.pointer.endswith("Variables/0/defaultValue")
        assert "sensitive, so it cannot have a defaultValue" in error.detail
        assert VALUE not in str(refusal.value)


# -- events


def test_the_sensitive_inputs_are_sealed_and_named() -> None:
    (created,) = decide(
        None, request("ExecuteTask", "1", inputs={**GIVEN, "login": {"a": 1}}), MARKED, None, seal
    ).events
    assert isinstance(created, TaskExecutionCreated)
    assert created.sensitive == MARKS
    assert created.resolved_inputs == {
        "day": "monday", "token": {"sealed": "of str"}, "login": {"sealed": "of dict"}, "codes": None, "pin": None,
        "kind": None,
    }  # fmt: skip


def test_the_sensitive_outputs_are_sealed() -> None:
    (succeeded,) = decide(after(EXECUTE, START), SUCCEED, MARKED, None, seal).events
    assert isinstance(succeeded, TaskExecutionSucceeded)
    assert succeeded.outputs == {"day": "monday", "token": {"sealed": "of str"}}


def test_without_a_seal_they_are_withheld() -> None:
    (created,) = decide(None, EXECUTE, MARKED, None).events
    (succeeded,) = decide(after(EXECUTE, START), SUCCEED, MARKED, None).events
    assert VALUE.encode() not in encode_event(created) + encode_event(succeeded)
    assert b'"token":{"sealed":null}' in encode_event(created)


UNMARKED = [{**variable, "sensitive": False} for variable in VARIABLES]
REPLACED = definition(UNMARKED, UNMARKED[:2])


@pytest.mark.parametrize("using", [None, UnusableDefinition("a:b", "1.0.0", "no type"), REPLACED])
def test_an_execution_keeps_its_marks_when_its_definition_is_withdrawn_spoilt_or_replaced(using: Any) -> None:
    (succeeded,) = decide(after(EXECUTE, START), SUCCEED, using, None, seal).events
    assert isinstance(succeeded, TaskExecutionSucceeded)
    assert succeeded.outputs["token"] == {"sealed": "of str"}


def test_one_that_was_made_before_its_definition_had_marks_has_those_of_now() -> None:
    old = after(EXECUTE, START, using=REPLACED)
    assert old.sensitive is None
    (succeeded,) = decide(old, SUCCEED, MARKED, None, seal).events
    assert isinstance(succeeded, TaskExecutionSucceeded)
    assert succeeded.outputs["token"] == {"sealed": "of str"}


def test_where_nothing_is_marked_the_event_is_as_it_always_was() -> None:
    (created,) = decide(None, request("ExecuteTask", "1", inputs={"day": "monday"}), PLAIN, None, seal).events
    assert b"sensitive" not in encode_event(created)


def test_marks_are_read_again_and_those_of_an_older_version_are_none() -> None:
    (created,) = decide(None, EXECUTE, MARKED, None, seal).events
    body = encode_event(created)
    for type_ in ("TaskExecutionCreated", "TaskExecutionMadeUp"):
        assert folded(None, [read_event(type_, body)]) == after(EXECUTE)  # type: ignore[list-item]
    older = body.replace(b',"sensitive":', b',"later":')
    assert folded(None, [read_event("TaskExecutionCreated", older)]).sensitive is None  # type: ignore[list-item, union-attr]


def test_marks_of_an_execution_and_of_its_definition_come_together() -> None:
    state = after(EXECUTE)
    assert marks(None, None) is None
    assert marks(None, PLAIN) is None
    assert marks(state, MARKED) == marks(state, PLAIN) == marks(None, MARKED) == MARKS
    other = definition([{**VARIABLES[0], "sensitive": True}], [{**VARIABLES[0], "sensitive": True}])
    assert marks(state, other) == Sensitive(("codes", "day", "kind", "login", "pin", "token"), ("day", "token"))


def test_null_says_that_no_value_was_given() -> None:
    assert sealed({"a": None, "b": 0, "c": False, "d": ""}, ("a", "b", "c", "d", "e"), seal) == {
        "a": None, "b": {"sealed": "of int"}, "c": {"sealed": "of bool"}, "d": {"sealed": "of str"}
    }  # fmt: skip


# -- errors


@pytest.mark.parametrize(
    ("given", "pointer", "allowed"),
    [
        ({"token": 7_777_777}, "#/inputs/token", "must be a string"),
        ({"token": "7777777"}, "#/inputs/token", "must match pattern '^c'"),
        ({"token": "c7777777777"}, "#/inputs/token", "must have at most 9 characters"),
        ({"login": ["7777777"]}, "#/inputs/login", "must be an object"),
        ({"codes": "7777777"}, "#/inputs/codes", "must be an array"),
        ({"pin": 7_777_777}, "#/inputs/pin", "must be less than or equal to 9"),
        ({"kind": "7777777"}, "#/inputs/kind", 'must be one of ["a","b"]'),
    ],
)
def test_an_error_says_where_and_what_is_allowed_and_not_the_value(given: Any, pointer: str, allowed: str) -> None:
    problem = refused(request("ExecuteTask", "1", inputs={**GIVEN, **given}))
    assert [(error.pointer, error.detail) for error in problem.errors] == [(pointer, allowed)]
    assert "7777777" not in problem.model_dump_json()


# -- identity


def test_the_hash_does_not_tell_the_value() -> None:
    (created,) = decide(None, EXECUTE, MARKED, None, seal).events
    (another,) = decide(None, request("ExecuteTask", "1", inputs={**GIVEN, "token": "c2"}), MARKED, None, seal).events
    assert created.command_hash == another.command_hash != EXECUTE.whole_hash
    assert str(EXECUTE.whole_hash) not in str(after(EXECUTE))


def test_a_command_that_differs_in_a_sensitive_value_only_is_the_same() -> None:
    again = request("ExecuteTask", "1", inputs={**GIVEN, "token": "c2"})
    assert decide(after(EXECUTE), again, MARKED, None, seal).repeats


@pytest.mark.parametrize("given", [{**GIVEN, "day": "tuesday"}, {**GIVEN, "login": {}}])
def test_one_that_differs_in_anything_else_is_refused(given: Any) -> None:
    assert refused(request("ExecuteTask", "1", inputs=given), after(EXECUTE)).code == "idempotency_conflict"


def test_a_command_that_an_older_version_accepted_is_known_by_the_hash_of_then() -> None:
    """It knew no marks: it hashed everything."""
    whole = EXECUTE.whole_hash or ""
    then = after(Request(EXECUTE.command, EXECUTE.command_id, whole, "/tests", AT), using=REPLACED)
    assert repeated(then, EXECUTE)
    another = request("ExecuteTask", "1", inputs={**GIVEN, "token": "c2"})
    assert refused(another, then).code == "idempotency_conflict"


def test_what_is_hashed_has_neither_sensitive_inputs_nor_outputs() -> None:
    data = {"inputs": GIVEN, "outputs": GIVEN, "tags": ["a"]}
    left = {"day": "monday", "token": {"sealed": None}}
    assert without(data, MARKS) == {"inputs": left, "outputs": left, "tags": ["a"]}
