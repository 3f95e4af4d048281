"""CloudEvents over Kafka: what we read, what we write, and what is refused with every reason at once."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.commands import COMMAND_TYPES
from service.contracts.envelope import Envelope, envelope_headers, read_envelope
from service.contracts.problems import Code, Problem, RejectedError
from service.contracts.timestamps import rfc3339
from service.contracts.topics import MAX_COMMAND_BYTES, REPLY_TOPIC
from service.domain.parsing import parse_command

AT = datetime(2026, 3, 2, 4, 0, 7, 125_999, UTC)
Header = tuple[str, bytes | None]
GOOD: dict[str, bytes | None] = {
    "ce_specversion": b"1.0", "ce_id": b"42", "ce_source": b"/scheduler", "ce_type": b"ExecuteTask",
}  # fmt: skip
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "42", "source": "/scheduler", "type": "ExecuteTask"}
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")


@dataclass(frozen=True)
class Record:
    """A record as a consumer gets it."""

    value: bytes | None = b"{}"
    headers: list[Header] = field(default_factory=list)
    topic: str = "task-execution.commands"
    partition: int = 3
    offset: int = 17


def binary(value: bytes | None = b"{}", **headers: bytes | None) -> Record:
    return Record(value, list({**GOOD, **headers}.items()))


def structured(**attributes: Any) -> Record:
    return Record(json.dumps({**EVENT, **attributes}).encode(), [STRUCTURED])


def refused(record: Record) -> Problem:
    with pytest.raises(RejectedError) as refusal:
        read_envelope(record)
    return refusal.value.problem


def errors(problem: Problem) -> dict[str, str]:
    return {error.pointer: error.detail for error in problem.errors}


EXPECTED = Envelope("42", "/scheduler", "ExecuteTask", "s", {"a": 1}, (("traceparent", b"00-1"),))


def test_binary_mode() -> None:
    record = binary(b'{"a":1}', ce_subject=b"s", traceparent=b"00-1", ce_time=b"?", other=b"\xff", tracestate=None)
    assert read_envelope(record) == EXPECTED


def test_an_attribute_may_hold_any_character_but_control_characters() -> None:
    assert read_envelope(binary(ce_id="é\u00a0\u200b😀".encode())).id == "é\u00a0\u200b😀"


def test_structured_mode() -> None:
    record = structured(subject="s", data={"a": 1}, time=None, extension=3, dataschema=None)
    record.headers.append(("traceparent", b"00-1"))
    assert read_envelope(record) == EXPECTED


def test_header_names_may_have_any_case() -> None:
    record = Record(b'{"a":1}', [(name.title(), value) for name, value in {**GOOD, "ce_subject": b"s"}.items()])
    record.headers.append(("TraceParent", b"00-1"))
    assert read_envelope(record) == EXPECTED
    upper = Record(structured().value, [("Content-Type", b"Application/CloudEvents+JSON")])
    assert read_envelope(upper).id == "42"


def test_without_an_id_the_place_of_the_record_is_its_identity() -> None:
    record = Record(headers=[("ce_specversion", b"1.0"), ("ce_type", b"ExecuteTask")])
    envelope = read_envelope(record)
    assert (envelope.source, envelope.id) == ("/kafka/task-execution.commands", "task-execution.commands/3/17")


def test_no_header_but_those_of_cloud_events_says_which_command_it_is() -> None:
    """Else anybody could pass a command off as another client's that came without an id."""
    record = Record(headers=[("ce_specversion", b"1.0"), ("ce_type", b"ExecuteTask"), ("taskexec_origin", b"t/0/9")])
    assert read_envelope(record).id == "task-execution.commands/3/17"


def test_repeated_headers_are_counted_once_over() -> None:
    """A megabyte of them would take minutes if each were looked for among all."""

    class Name(str):
        __slots__ = ()
        compared = 0

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

        def lower(self) -> "Name":
            return Name(str(self).lower())

    record = Record(headers=[*GOOD.items(), *((Name(f"ce_{n}"), b"") for n in range(1_000)), ("ce_0", b"")])
    assert errors(refused(record))["#/headers/ce_0"] == "the header is given more than once"
    assert Name.compared < 10_000


def test_an_attribute_has_up_to_1024_characters() -> None:
    assert read_envelope(binary(ce_id="é".encode() * 1024)).id == "é" * 1024
    assert read_envelope(binary(ce_id=b"i" * 1024, ce_type=b"t" * 1024)).type == "t" * 1024


def test_a_trace_header_has_up_to_1024_bytes() -> None:
    longest = b"x" * 1024
    assert read_envelope(binary(tracestate=longest)).trace == (("tracestate", longest),)


def test_a_trace_header_that_is_too_long_is_left_out() -> None:
    assert read_envelope(binary(traceparent=b"00-1", tracestate=b"x" * 1025)).trace == (("traceparent", b"00-1"),)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Record(), {"#/headers/ce_specversion": "the attribute is required",
                    "#/headers/ce_type": "the attribute is required"}),
        (Record(headers=[("ce_id", b"1"), ("ce_type", b"T"), ("ce_specversion", b"1.0")]),
         {"#/headers/ce_source": "the attribute is required"}),
        (binary(ce_specversion=b"0.3", ce_type=None, ce_source=b"a\x7f", ce_id=b"x" * 1025),
         {"#/headers/ce_specversion": "must be 1.0",
          "#/headers/ce_type": "must not be empty",
          "#/headers/ce_source": "control characters are not allowed",
          "#/headers/ce_id": "must have at most 1024 characters"}),
        (binary(ce_type=b"\xff", **{"ce_x y": b"\xff"}),
         {"#/headers/ce_type": "the header is not UTF-8", "#/headers/ce_x%20y": "the header is not UTF-8"}),
        (binary(ce_id=b"\xff", ce_source=None),
         {"#/headers/ce_id": "the header is not UTF-8", "#/headers/ce_source": "must not be empty"}),
        (Record(headers=[*GOOD.items(), ("CE_ID", b"43"), ("x", b""), ("x", b"")]),
         {"#/headers/ce_id": "the header is given more than once"}),
        (structured(specversion=1.0, type="", id=7, source=None),
         {"#/specversion": "must be a string", "#/id": "must be a string", "#/type": "must not be empty"}),
        (structured(data_base64="e30="),
         {"#/data_base64": "binary data is not supported; send JSON as `data`"}),
        (Record(b"[]", [STRUCTURED]), {"#": "a structured CloudEvent is an object"}),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_reported_at_once(record: Record, expected: dict[str, str]) -> None:
    problem = refused(record)
    assert (problem.code, errors(problem)) == (Code.INVALID_ENVELOPE, expected)


def test_what_is_wrong_with_the_json_is_reported_with_what_is_wrong_with_the_headers() -> None:
    problem = refused(binary(b'{"a":1e400}', ce_type=b""))
    assert problem.code is Code.INVALID_JSON
    assert list(errors(problem)) == ["#/a", "#/headers/ce_type"]
    assert errors(refused(Record(b"{", [STRUCTURED]))).keys() == {"#"}


def test_no_value_and_too_large_a_value() -> None:
    assert refused(binary(None)).code is Code.INVALID_ENVELOPE
    assert refused(binary(b" " * (MAX_COMMAND_BYTES + 1))).code is Code.PAYLOAD_TOO_LARGE
    assert read_envelope(binary(b"1" + b" " * (MAX_COMMAND_BYTES - 1))).data == 1


def test_a_command_is_shallow_enough_to_be_wrapped() -> None:
    assert read_envelope(binary(b"[" * 190 + b"]" * 190)).data
    assert errors(refused(binary(b"[" * 191 + b"]" * 191))) == {"#": "nested deeper than 190"}


# The CloudEvents SDK as the oracle


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_what_the_sdk_writes_we_read(write: Any) -> None:
    attributes = {"id": "42", "source": "/scheduler", "type": "ExecuteTask", "subject": "s", "time": AT, "ext": "é"}
    event = CloudEvent({**attributes, "datacontenttype": "application/json"}, {"a": "é"})
    message: KafkaMessage = write(event, JSONFormat())
    envelope = read_envelope(Record(message.value, list(message.headers.items())))
    assert envelope == Envelope("42", "/scheduler", "ExecuteTask", "s", {"a": "é"})


def test_what_we_write_the_sdk_reads() -> None:
    headers = envelope_headers("TaskExecutionFailed", "e/3", "e", AT, trace=[("traceparent", b"00-1")])
    event = from_binary(KafkaMessage(dict(headers), None, b'{"a":"\xc3\xa9"}'), JSONFormat())
    assert (event.get_id(), event.get_source(), event.get_type()) == (
        "e/3",
        "/task-execution-service",
        "TaskExecutionFailed",
    )
    assert (event.get_subject(), event.get_data(), event.get_specversion()) == ("e", {"a": "é"}, "1.0")
    assert event.get_time() == AT.replace(microsecond=125_000)
    assert event.get_datacontenttype() == "application/json"
    assert ("traceparent", b"00-1") in headers


def test_what_we_write_we_read() -> None:
    headers: list[Header] = [*envelope_headers("T", "1", None, AT, source="/me")]
    assert read_envelope(Record(b"null", headers)) == Envelope("1", "/me", "T", None, None)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, "2026-03-02T04:00:07.125Z"),
        (datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02T00:00:00.000Z"),
        (datetime(2026, 3, 2, 2, tzinfo=timezone(timedelta(hours=2))), "2026-03-02T00:00:00.000Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_in_milliseconds(at: datetime, text: str) -> None:
    assert rfc3339(at) == text


@pytest.mark.parametrize("name", ["task-execution.replies", "task-execution.replies.a-b_c.1"])
def test_a_reply_topic(name: str) -> None:
    assert REPLY_TOPIC.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    ["", "task-execution.events", "task-execution.state", "task-execution.replies.", "task-execution-replies",
     "task-execution.repliesx", "task-execution.replies.a\n", "task-execution.replies.é", "x.task-execution.replies",
     "task-execution.replies." + "a" * 201],
)  # fmt: skip
def test_no_reply_topic(name: str) -> None:
    assert REPLY_TOPIC.fullmatch(name) is None


NAMES = st.sampled_from([*GOOD, "ce_subject", "content-type", "traceparent", "CE_TYPE"]) | st.text()
VALUES = st.sampled_from([None, b"1.0", b"", STRUCTURED[1], *(name.encode() for name in COMMAND_TYPES)]) | st.binary()
BODIES = (
    st.none()
    | st.binary()
    | st.sampled_from(
        [b'{"executionId":1}', b'{"specversion":"1.0","type":"StopTaskExecution","data":{}}', b"[]", b'{"inputs":{}}']
    )
)


@given(value=BODIES, headers=st.lists(st.tuples(NAMES, VALUES)), good=st.booleans())
def test_any_record_is_read_or_rejected(value: bytes | None, headers: list[Header], good: bool) -> None:  # noqa: FBT001 - drawn
    record = Record(value, [*GOOD.items(), *headers] if good else headers)
    with suppress(RejectedError):
        parse_command(read_envelope(record))
