"""Read the short way or the long way, a command says the same; and the usual ones are read the short way."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.topics import MAX_COMMAND_BYTES
from service.handling import incoming, layouts
from service.handling.incoming import CommandReader, Incoming, Readable
from service.handling.layouts import glance
from service.kafka.records import CutValue, Record
from tests.handling.pure import EXECUTION, TASK, command_record, raw_record, reply_headers

Headers = list[tuple[str, bytes | None]]

GOOD: Headers = [
    ("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/tests"), ("ce_type", b"StartTaskExecution"),
]  # fmt: skip
TRACE: Headers = [("traceparent", b"00-1"), ("tracestate", b"a=1")]
BODY = json.dumps({"executionId": EXECUTION}).encode()

NAMES = [
    "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_x", "content-type", "traceparent",
    "tracestate", "reply_to", "correlation_id", "other", "é", "CE_ID", "Content-Type", "Reply_To", "traceParent", "",
]  # fmt: skip
VALUES = [
    None, b"", b"1.0", b"StartTaskExecution", EXECUTION.encode(), EXECUTION.upper().encode(), b"application/json",
    b"application/JSON; a=b", b"application/cloudevents+json", b"Application/CloudEvents+JSON;charset=utf-8",
    b"task-execution.replies", b"task-execution.replies.a", b"task-execution.events", "é".encode(), b"\xff", b"\xc3",
    b"\xa9", b"a\nb", b"\x7f", b"x" * MAX_ATTRIBUTE, b"x" * (MAX_ATTRIBUTE + 1), "é".encode() * 600,
]  # fmt: skip
STRUCTURED = b'{"specversion":"1.0","id":"1","source":"/s","type":"StartTaskExecution","data":' + BODY + b"}"
BODIES = [
    BODY, STRUCTURED, json.dumps(TASK).encode(), BODY.replace(b"}", b',"executionId":1}'), b"{}", b"[]", b"", b"null",
    None, b'{"inputs":"\\u00e9"}', BODY.replace(b"}", b',"outputs":{"a":1e400}}'), b"\xff", b"[" * 200,
    CutValue(BODY, 9_000_000, None, "It was cut."),
]  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Mostly good headers, one of them spoilt or missing perhaps, in any order, with any others."""
    names, values = st.sampled_from(NAMES) | st.text(max_size=3), st.sampled_from(VALUES) | st.binary(max_size=5)
    headers: Headers = []
    for name, value in GOOD:
        match draw(st.integers(0, 19)):
            case 0:
                pass
            case 1:
                headers.append((name, draw(values)))
            case 2:
                headers.append((name.title(), value))
            case _:
                headers.append((name, value))
    headers += draw(st.lists(st.tuples(names, values), max_size=4))
    key = draw(st.sampled_from([None, b"", b"k"]))
    return raw_record(draw(st.sampled_from(BODIES)), draw(st.permutations(headers)), key=key)


def the_long_way(record: Record) -> Incoming:
    with patch.object(incoming, "glance", lambda _: None):
        return CommandReader(0, 1).read(record)


@pytest.mark.parametrize("body", [BODY, STRUCTURED])
@pytest.mark.parametrize("name", NAMES)
def test_one_oddity_is_read_alike_both_ways(name: str, body: bytes) -> None:
    for value in VALUES:
        for headers in ([*GOOD, (name, value)], [*(header for header in GOOD if header[0] != name), (name, value)]):
            record = raw_record(body, headers)
            assert CommandReader(0, 1).read(record) == the_long_way(record), headers


@settings(max_examples=500)
@given(records())
def test_both_ways_say_the_same(record: Record) -> None:
    assert CommandReader(0, 1).read(record) == the_long_way(record)


@pytest.mark.parametrize(
    "headers",
    [
        GOOD,
        [*GOOD, *TRACE, *reply_headers()],
        [*reversed(GOOD), ("ce_subject", EXECUTION.encode()), ("ce_time", b"?"), ("other", b"\xff")],
        [*GOOD, ("content-type", b"application/json")],
        [*GOOD, ("content-type", b"application/json; charset=utf-8"), *reply_headers("nonsense")],
        [*GOOD, ("traceparent", b""), ("tracestate", b"x" * (MAX_ATTRIBUTE + 1)), ("reply_to", b"")],
    ],
)
def test_a_usual_command_is_read_the_short_way(headers: Headers) -> None:
    record = raw_record(BODY, headers, key=b"k")
    assert glance(record) is not None
    assert CommandReader(0, 1).read(record) == the_long_way(record)


@pytest.mark.parametrize("room", [-1, 0, 1])
def test_both_ways_count_alike(room: int) -> None:
    start = raw_record(BODY, [*GOOD, ("é", b"x")], key=b"k")
    size = sum(len(name.encode()) + len(value or b"") + 4 for name, value in start.headers) + len(BODY) + 1
    longer = [*GOOD, ("é", b"x" * (MAX_COMMAND_BYTES - size + 1 - room))]
    record = raw_record(BODY, longer, key=b"k")
    assert (glance(record) is None) == (room < 0)
    found = CommandReader(0, 1).read(record)
    assert isinstance(found, Readable) == (room >= 0)
    assert found == the_long_way(record)


def test_any_number_of_layouts_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[Any, Any] = {}
    monkeypatch.setattr(layouts, "_layouts", known)
    for number in range(2_500):
        record = command_record("StartTaskExecution", {"executionId": EXECUTION}, headers=[(f"x{number}", b"")])
        assert CommandReader(0, 1).read(record) == the_long_way(record)
    assert len(known) <= 1_000
    many = [(f"x{number}", b"") for number in range(100)]
    for headers in (many, [("x" * 2_000, b"")]):
        assert glance(command_record("StartTaskExecution", {}, headers=headers)) is None
    assert all(len(names) <= 32 and sum(map(len, names)) <= 1_024 for names in known)
