"""What is told of commands whose definitions have sensitive variables: accepted, repeated and refused ones."""

import json
from base64 import b64decode
from typing import Any

import pytest

from service.contracts.codec import sorted_json
from service.contracts.rejections import CommandRejected, Extent
from service.contracts.replies import Position
from service.contracts.topics import MAX_COMMAND_BYTES
from service.domain.definitions import Definition, UnusableDefinition
from service.domain.execution import Execution
from service.domain.identity import payload_hash
from service.handling.deciding import Accepted, Answer, Decider, Known, Refused, Repeated
from service.handling.incoming import CommandReader, set_aside
from service.handling.rejection_records import rejection_record
from service.handling.reply_records import reply_record
from service.handling.snapshots import decode_snapshot, encode_snapshot
from service.kafka.records import CutValue, Record
from tests.handling.pure import (
    AT,
    EXECUTION,
    WINDOW,
    command_record,
    definition,
    execution,
    lifecycle,
    raw_record,
    reply_headers,
)

NAME = ("sales:report", "1.0.0")
TOKEN = "s3cret-canary"  # noqa: S105 - it opens nothing
WITHHELD = {"sealed": None}
MARKED = definition(
    inputVariables=[
        {"name": "day", "type": "string"},
        {"name": "token", "type": "string", "required": False, "sensitive": True},
    ],
    outputVariables=[{"name": "rows", "type": "number"}, {"name": "link", "type": "string", "sensitive": True}],
)
TASK: dict[str, Any] = {"taskId": NAME[0], "taskVersion": NAME[1], "inputs": {"day": "monday", "token": TOKEN}}
OUTPUTS = {"rows": 3, "link": TOKEN}
EXECUTE = command_record("ExecuteTask", TASK)
START = lifecycle("StartTaskExecution")
SUCCEED = lifecycle("SucceedTaskExecution", id_="3", outputs=OUTPUTS)
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def known(found: Definition | None = MARKED, *, sensitive: bool = True) -> Known:
    return Known({NAME: found}, {"task-execution.replies.none": "there is none"}, sensitive)


def seal(value: Any) -> dict[str, str | None]:
    return {"sealed": f"of {type(value).__name__}"}


def answer(record: Record, state: Execution | None = None, using: Known | None = None) -> Answer:
    decider = Decider(0, 1, WINDOW, seal=seal)
    return decider.answer(CommandReader(0, 1).read(record), state, using or known(), AT)


def after(*records: Record) -> Execution:
    state = None
    for record in records:
        found = answer(record, state)
        assert isinstance(found, Accepted), found
        state = execution(found)
    assert state
    return state


def rejected(found: Answer) -> tuple[Any, bytes | None]:
    """What a rejection tells of the record, and its value; checked for the secret."""
    assert isinstance(found, Refused), found
    written = rejection_record(found, AT).value or b""
    record = CommandRejected.model_validate_json(written).record
    value = None if record.value is None else b64decode(record.value)
    told = reply_record(found, Position(partition=0, offset=0), AT).value or b""
    assert TOKEN.encode() not in written + (value or b"") + told
    return record, value


def told(found: Answer) -> Any:
    record, value = rejected(found)
    assert record.value_withheld is Extent.PART
    assert (record.value_sha256, record.value_head) == (None, None)
    return json.loads(value or b"")


def whole(found: Answer) -> None:
    """Nothing of the value is told but its size."""
    record, value = rejected(found)
    assert record.value_withheld is Extent.WHOLE
    assert (value, record.value_sha256, record.value_head) == (None, None, None)
    assert isinstance(found, Refused)
    assert record.value_size == len(found.record.value or b"")


# -- accepted, and repeated


def test_an_accepted_command_leaves_its_secret_neither_in_the_event_nor_in_the_state_nor_in_the_reply() -> None:
    for record, state in ((EXECUTE, None), (SUCCEED, after(EXECUTE, START))):
        found = answer(command_copy(record), state)
        assert isinstance(found, Accepted)
        reply = reply_record(found, Position(partition=0, offset=0), AT).value or b""
        snapshot = encode_snapshot(found.state)
        assert b'{"sealed":"of str"}' in found.bodies[0]
        assert b'{"sealed":"of str"}' in reply
        assert TOKEN.encode() not in b"".join(found.bodies) + snapshot + reply
        hash_ = payload_hash(dict(record.headers)["ce_type"].decode(), sorted_json(json.loads(record.value or b"")))
        assert hash_.encode() not in found.bodies[0]
        assert bytes.fromhex(hash_) not in snapshot


def command_copy(record: Record) -> Record:
    return raw_record(record.value, [*record.headers, *reply_headers()])


def test_who_repeats_it_is_told_all_but_the_secret_however_often_it_is_decided() -> None:
    for record, state, payloads in (
        (EXECUTE, after(EXECUTE), {"resolved_inputs": {"day": "monday", "token": WITHHELD}}),
        (SUCCEED, after(EXECUTE, START, SUCCEED), {"outputs": {"rows": 3, "link": WITHHELD}}),
    ):
        for using in (known(), known(None, sensitive=False), known(UnusableDefinition(*NAME, "no type"))):
            found = [answer(record, state, using) for _ in range(2)]
            assert found[0] == found[1]
            assert isinstance(found[0], Repeated)
            execution = found[0].execution
            assert {name: getattr(execution, name) for name in payloads} == payloads


def test_the_state_of_such_an_execution_is_one_that_an_older_version_refuses() -> None:
    marked, unmarked = after(EXECUTE), command_record("ExecuteTask", {**TASK, "inputs": {"day": "monday"}})
    plain = answer(unmarked, using=known(definition()))
    assert isinstance(plain, Accepted)
    assert (encode_snapshot(marked)[:1], encode_snapshot(plain.state)[:1]) == (b"\4", b"\3")
    assert decode_snapshot(EXECUTION, encode_snapshot(marked)) == marked
    assert decode_snapshot(EXECUTION, encode_snapshot(plain.state)) == plain.state


# -- refused: the definition is known


def execute(**changes: Any) -> Record:
    return command_record("ExecuteTask", {**TASK, **changes})


def test_of_a_refused_command_what_its_definition_knows_as_harmless_is_told() -> None:
    inputs = {"day": 7, "token": TOKEN, "tokem": TOKEN, "top": None}
    shown = {"day": 7, "token": WITHHELD, "tokem": WITHHELD, "top": None}
    found = told(answer(execute(inputs=inputs, createdBy="anna", tags=["a"])))
    assert found == {**TASK, "inputs": shown, "createdBy": "anna", "tags": ["a"]}


def test_of_one_that_does_not_fit_its_schema_what_fits_is_told() -> None:
    record = execute(createdBy=[TOKEN], tags=TOKEN, token=TOKEN)
    assert told(answer(record)) == {**TASK, "inputs": {"day": "monday", "token": WITHHELD}}


def test_of_refused_outputs_likewise() -> None:
    state = after(EXECUTE, START)
    refused = lifecycle("SucceedTaskExecution", id_="3", outputs={"rows": "3", "link": TOKEN, "lnk": [TOKEN]})
    expected = {"executionId": EXECUTION, "outputs": {"rows": "3", "link": WITHHELD, "lnk": WITHHELD}}
    assert told(answer(refused, state)) == expected
    assert told(answer(SUCCEED, after(EXECUTE))) == {"executionId": EXECUTION, "outputs": {"rows": 3, "link": WITHHELD}}


def test_of_one_with_the_identity_of_another_likewise() -> None:
    other = execute(inputs={"day": "tuesday", "token": TOKEN})
    assert told(answer(other, after(EXECUTE)))["inputs"] == {"day": "tuesday", "token": WITHHELD}
    unmarked = known(definition(), sensitive=False)
    assert told(answer(other, after(EXECUTE), unmarked))["inputs"] == {"day": "tuesday", "token": WITHHELD}


def test_of_one_whose_reply_topic_cannot_be_written_likewise() -> None:
    record = raw_record(EXECUTE.value, [*EXECUTE.headers, *reply_headers("task-execution.replies.none")])
    assert told(answer(record))["inputs"] == {"day": "monday", "token": WITHHELD}


def test_an_event_stays_an_event_without_what_is_not_read_of_it() -> None:
    event = {"specversion": "1.0", "type": "ExecuteTask", "id": "1", "source": "/tests", "token": TOKEN}
    data = {**TASK, "inputs": {"day": 7, "token": TOKEN}}
    found = told(answer(raw_record(json.dumps({**event, "data": data}).encode(), STRUCTURED)))
    del event["token"]
    assert found == {**event, "data": {**TASK, "inputs": {"day": 7, "token": WITHHELD}}}


def test_what_has_no_secret_is_told_as_it_came() -> None:
    for record, state in (
        (command_record("ExecuteTask", {**TASK, "inputs": {"day": 7, "token": None}, "tags": ["a"]}), None),
        (lifecycle("SucceedTaskExecution", outputs={"rows": "3"}), after(EXECUTE, START)),
        (lifecycle("FailTaskExecution", errorMessage="disk full"), None),
        (lifecycle("StartTaskExecution", id_="4"), after(EXECUTE, START, SUCCEED)),
    ):
        told_, value = rejected(answer(record, state))
        assert (value, told_.value_withheld) == (record.value, None)


# -- refused: it is not


@pytest.mark.parametrize(
    "record",
    [
        raw_record(EXECUTE.value and EXECUTE.value[:-1], EXECUTE.headers),
        raw_record(EXECUTE.value, EXECUTE.headers[:2]),
        raw_record(json.dumps([TOKEN]).encode(), EXECUTE.headers),
        execute(inputs=[TOKEN]),
        execute(taskId=TOKEN),
        execute(taskId="no:task"),
        command_record("MadeUp", TASK),
        lifecycle("SucceedTaskExecution", outputs=OUTPUTS),
        lifecycle("SucceedTaskExecution", outputs=[TOKEN]),
        lifecycle("StartTaskExecution", outputs=OUTPUTS),
        execute(inputs={"day": "x" * MAX_COMMAND_BYTES, "token": TOKEN}),
        raw_record(EXECUTE.value, [*EXECUTE.headers, *reply_headers("elsewhere")]),
    ],
)  # fmt: skip
def test_nothing_is_told_of_a_command_whose_definition_cannot_be_known(record: Record) -> None:
    whole(answer(record))


@pytest.mark.parametrize("found", [None, UnusableDefinition(*NAME, "no type")])
def test_nor_of_one_whose_definition_is_not_there_or_cannot_be_used(found: Definition | None) -> None:
    whole(answer(EXECUTE, using=known(found)))
    whole(answer(execute(createdBy=7), using=known(found)))


def test_nor_of_a_value_that_was_cut() -> None:
    cut = CutValue(TOKEN.encode(), 9_000_000, "ab" * 32, "It is too large.")
    record, value = rejected(answer(raw_record(cut, EXECUTE.headers)))
    assert (value, record.value_head, record.value_sha256) == (None, None, None)
    assert (record.value_size, record.value_withheld) == (9_000_000, Extent.WHOLE)


@pytest.mark.parametrize("bare", [True, False])
def test_nor_of_one_that_is_set_aside(bare: bool) -> None:  # noqa: FBT001 - a parameter
    whole(Decider(0, 1, WINDOW).answer(set_aside(EXECUTE, bare=bare), None, known(), AT))


def test_nor_where_what_is_told_would_be_too_large() -> None:
    """What stands for a secret may be longer than it."""
    unknown = {str(number): 1 for number in range(100)}
    empty = json.dumps({**TASK, "inputs": {"day": "", **dict.fromkeys(unknown, WITHHELD)}}, separators=(",", ":"))
    for more in (0, 1):
        day = "x" * (MAX_COMMAND_BYTES - len(empty) + more)
        found = answer(execute(inputs={"day": day, **unknown}))
        assert isinstance(found, Refused)
        assert found.problem.code == "invalid_inputs"
        if more:
            whole(found)
        else:
            assert len(json.dumps(told(found), separators=(",", ":"))) == MAX_COMMAND_BYTES


# -- nothing is sensitive


@pytest.mark.parametrize("value", [b"{oops", None, b"", json.dumps({**TASK, "inputs": {"day": 7}}).encode()])
def test_where_no_definition_has_a_sensitive_variable_all_is_told(value: bytes | None) -> None:
    record = raw_record(value, EXECUTE.headers)
    kept, found = rejected(answer(record, using=known(definition(), sensitive=False)))
    assert (found, kept.value_withheld) == (value, None)
