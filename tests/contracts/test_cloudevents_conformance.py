"""The scenarios of CloudEvents' conformance suite for Kafka, and what the Kafka protocol binding 1.0.2 demands.

Each scenario is put to both readers: that of commands (`read_envelope`) and that of consumers (`read_cloud_event`).
What the service writes is read with the SDK. Where a command must be more than the specification asks for, or may be
less, the test says so by its name.
"""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from service.contracts.envelope import envelope_headers, read_envelope
from service.contracts.events import TaskExecutionFailed, UnknownEvent, encode_event
from service.contracts.examples import EXAMPLES
from service.contracts.problems import Code, RejectedError
from service.contracts.received import AnyHeaders, read_cloud_event, received_event, type_of
from service.kafka.records import Record

Header = tuple[str, bytes | None]
HELLO = b'{"message": "Hello World!"}'
ATTRIBUTES = {
    "id": "1234-1234-1234",
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext/subcontext",
    "time": "2018-04-05T03:56:24Z",
    "datacontenttype": "application/json",
}
BINARY: list[Header] = [
    ("content-type" if name == "datacontenttype" else f"ce_{name}", text.encode()) for name, text in ATTRIBUTES.items()
]
STRUCTURED = json.dumps({**ATTRIBUTES, "data": {"message": "Hello World!"}}).encode()
MEDIA_TYPES = ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
AT = datetime(2026, 3, 2, tzinfo=UTC)


def record(value: bytes | None, headers: Any, key: bytes | None = None) -> Record:
    return Record("task-execution.commands", 3, 17, 0, key, value, tuple(headers))


def without(*names: str) -> list[Header]:
    return [header for header in BINARY if header[0] not in names]


def refusal(value: bytes | None, headers: list[Header]) -> tuple[Code, dict[str, str]]:
    with pytest.raises(RejectedError) as refused:
        read_envelope(record(value, headers))
    problem = refused.value.problem
    return problem.code, {error.pointer: error.detail for error in problem.errors}


def structured(value: object, media_type: str = MEDIA_TYPES[0]) -> tuple[list[Header], bytes]:
    return [("content-type", media_type.encode())], json.dumps(value).encode()


# Feature: Kafka Protocol Binding (cloudevents/conformance, features/kafka-protocol-binding.feature)

SCENARIOS = [pytest.param(BINARY, HELLO, id="Binary content mode")] + [
    pytest.param([("content-type", media_type.encode())], STRUCTURED, id=f"Structured content mode ({media_type})")
    for media_type in MEDIA_TYPES
]


@pytest.mark.parametrize(("headers", "value"), SCENARIOS)
def test_scenario_as_a_consumer_reads_it(headers: list[Header], value: bytes) -> None:
    event = read_cloud_event(headers, value)
    assert event.attributes == ATTRIBUTES
    assert json.loads(event.data or b"") == {"message": "Hello World!"}
    assert type_of(headers, value) == ATTRIBUTES["type"]


@pytest.mark.parametrize(("headers", "value"), SCENARIOS)
def test_scenario_as_a_command_is_read(headers: list[Header], value: bytes) -> None:
    """Time and content type of a command are not kept: nothing is decided by them."""
    envelope = read_envelope(record(value, headers))
    assert (envelope.id, envelope.type, envelope.source) == (
        "1234-1234-1234", "com.example.someevent", "/mycontext/subcontext",
    )  # fmt: skip
    assert envelope.data == {"message": "Hello World!"}


def test_scenario_as_the_service_writes_it() -> None:
    headers = envelope_headers("com.example.someevent", "1234-1234-1234", "s", AT, source="/mycontext/subcontext")
    event = from_kafka_event(KafkaMessage(dict(headers), None, HELLO))
    assert (event.get_id(), event.get_specversion(), event.get_type(), event.get_source(), event.get_time()) == (
        "1234-1234-1234", "1.0", "com.example.someevent", "/mycontext/subcontext", AT,
    )  # fmt: skip
    assert (event.get_subject(), event.get_datacontenttype()) == ("s", "application/json")
    assert event.get_data() == {"message": "Hello World!"}


# 3. Kafka message mapping


@pytest.mark.parametrize("media_type", ["Application/CloudEvents+JSON", " application/cloudevents+json ;charset=UTF-8"])
def test_section_3_the_mode_is_told_by_the_media_type_in_any_case(media_type: str) -> None:
    headers: list[Header] = [("Content-Type", media_type.encode())]
    assert read_cloud_event(headers, STRUCTURED).attributes == ATTRIBUTES
    assert read_envelope(record(STRUCTURED, headers)).id == ATTRIBUTES["id"]


FOREIGN = ["application/cloudevents+avro", "application/cloudevents-batch+json", "APPLICATION/CLOUDEVENTS+XML"]


@pytest.mark.parametrize("media_type", FOREIGN)
def test_section_3_another_format_is_named_where_it_cannot_be_read(media_type: str) -> None:
    headers: list[Header] = [("content-type", media_type.encode())]
    with pytest.raises(ValueError, match="in a format that is not read"):
        read_cloud_event(headers, b"\0")
    for value, code in ((b"\0", Code.INVALID_JSON), (STRUCTURED, Code.INVALID_ENVELOPE)):
        told, errors = refusal(value, headers)
        assert told is code
        assert "application/cloudevents+json" in errors["#/headers/content-type"]


@pytest.mark.parametrize("media_type", FOREIGN)
def test_section_3_another_format_may_be_treated_as_binary(media_type: str) -> None:
    headers: list[Header] = [*without("content-type"), ("content-type", media_type.encode())]
    assert read_envelope(record(HELLO, headers)).data == {"message": "Hello World!"}
    assert read_cloud_event(headers, HELLO).data == HELLO


def test_section_3_without_a_content_type_the_mode_is_binary() -> None:
    assert read_envelope(record(HELLO, without("content-type"))).id == ATTRIBUTES["id"]
    event = read_cloud_event(without("content-type"), HELLO)
    assert event.attributes == {name: text for name, text in ATTRIBUTES.items() if name != "datacontenttype"}


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_section_3_1_a_command_is_read_under_any_key(key: bytes | None) -> None:
    assert read_envelope(record(HELLO, BINARY, key)) == read_envelope(record(HELLO, BINARY, b"k"))


def test_section_3_2_1_the_content_type_is_the_datacontenttype() -> None:
    headers: list[Header] = [*without("content-type"), ("content-type", b"application/avro")]
    event = read_cloud_event(headers, b"\x00\xff")
    assert (event.attributes["datacontenttype"], event.data) == ("application/avro", b"\x00\xff")


def test_section_3_2_2_no_value_is_no_data() -> None:
    assert read_cloud_event(BINARY, None).data is None


def test_section_3_2_3_every_attribute_is_a_header_and_its_text_is_utf_8() -> None:
    headers: list[Header] = [
        *BINARY,
        ("ce_subject", "é😀".encode()),
        ("ce_comexampleextension", b"1"),
        ("other", b"\xff"),
    ]
    expected = {**ATTRIBUTES, "subject": "é😀", "comexampleextension": "1"}
    assert read_cloud_event(headers, HELLO).attributes == expected
    assert read_envelope(record(HELLO, headers)).subject == "é😀"
    broken: list[Header] = [*BINARY, ("ce_subject", b"\xff")]
    with pytest.raises(ValueError, match="utf-8"):
        read_cloud_event(broken, HELLO)
    assert refusal(HELLO, broken) == (Code.INVALID_ENVELOPE, {"#/headers/ce_subject": "the header is not UTF-8"})


@pytest.mark.parametrize("trace", [b"\xff", b"vendor=\xc3\xa9", b"a\0", b""])
def test_section_3_2_3_no_header_that_is_not_text_goes_from_a_command_into_an_event(trace: bytes) -> None:
    headers: list[Header] = [*BINARY, ("traceparent", b"00-1"), ("tracestate", trace)]
    assert read_envelope(record(HELLO, headers)).trace == (("traceparent", b"00-1"),)
    assert read_cloud_event(headers, HELLO).trace == (("traceparent", b"00-1"),)


def test_section_3_3_3_in_structured_mode_the_headers_may_be_there_too() -> None:
    others: list[Header] = [("ce_id", b"of the header"), ("ce_type", b"\xff"), ("ce_time", b"?")]
    headers: list[Header] = [*others, ("content-type", MEDIA_TYPES[0].encode())]
    assert read_cloud_event(headers, STRUCTURED).attributes == ATTRIBUTES
    assert type_of(headers, STRUCTURED) == ATTRIBUTES["type"]
    assert read_envelope(record(STRUCTURED, headers)).id == ATTRIBUTES["id"]


# What the JSON format 1.0.2 and CloudEvents 1.0.2 demand of a reader


def test_in_structured_mode_null_is_absent_and_extensions_have_types() -> None:
    headers, value = structured({**ATTRIBUTES, "subject": None, "retries": 3, "urgent": True})
    assert read_cloud_event(headers, value).attributes == {**ATTRIBUTES, "retries": "3", "urgent": "true"}
    assert read_cloud_event(headers, value).data is None
    assert read_envelope(record(value, headers)).subject is None


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"data_base64": base64.b64encode(b"\x00\xff").decode(), "datacontenttype": "application/avro"}, b"\x00\xff"),
        ({"data": "<a/>", "datacontenttype": "application/xml"}, b"<a/>"),
        ({"data": "text"}, b'"text"'),
        ({"data": "text", "datacontenttype": None}, b'"text"'),
        ({"data": "text", "datacontenttype": "application/vnd.x+json"}, b'"text"'),
        ({"data": [1.0, None]}, b"[1.0,null]"),
        ({"data": False}, b"false"),
    ],
)
def test_in_structured_mode_data_is_what_its_content_type_says(changes: dict[str, Any], data: bytes) -> None:
    headers, value = structured({**ATTRIBUTES, **changes})
    assert read_cloud_event(headers, value).data == data


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("empty", [True, False])
def test_an_attribute_that_is_required_must_be_there(name: str, empty: bool) -> None:  # noqa: FBT001 - drawn
    headers: list[Header] = [*without(f"ce_{name}"), *([(f"ce_{name}", b"")] if empty else [])]
    with pytest.raises(ValueError, match=f"it has no {name}"):
        read_cloud_event(headers, HELLO)


@pytest.mark.parametrize(
    ("headers", "value", "told"),
    [
        ([*without("ce_specversion"), ("ce_specversion", b"0.3")], HELLO, "of version 0.3"),
        (*structured({**ATTRIBUTES, "specversion": "2.0"}), "of version 2.0"),
        (*structured([]), "is a JSON object"),
        (*structured({**ATTRIBUTES, "data_base64": "?"}), "base64"),
        (*structured({**ATTRIBUTES, "subject": {}}), "a string, an integer or a boolean"),
        ([("content-type", MEDIA_TYPES[0].encode())], None, "EOF"),
        ([], HELLO, "it has no specversion, id, source, type"),
    ],
)
def test_what_is_no_cloud_event_is_not_read(headers: list[Header], value: bytes | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_cloud_event(headers, value)


# Where a command must be more than the specification asks for, or may be less


def test_stricter_a_command_has_json_data() -> None:
    headers: list[Header] = [*without("content-type"), ("content-type", b"application/xml")]
    assert refusal(b"<a/>", headers)[0] is Code.INVALID_JSON
    assert refusal(None, BINARY)[0] is Code.INVALID_ENVELOPE
    headers, value = structured({**ATTRIBUTES, "data_base64": "e30="})
    assert refusal(value, headers) == (
        Code.INVALID_ENVELOPE, {"#/data_base64": "binary data is not supported; send JSON as `data`"},
    )  # fmt: skip


def test_stricter_a_command_has_attributes_of_1024_characters_at_most() -> None:
    headers: list[Header] = [*without("ce_id"), ("ce_id", b"x" * 1025)]
    assert refusal(HELLO, headers)[1] == {"#/headers/ce_id": "must have at most 1024 characters"}
    assert read_cloud_event(headers, HELLO).attributes["id"] == "x" * 1025


def test_stricter_a_command_has_each_attribute_once() -> None:
    assert refusal(HELLO, [*BINARY, ("CE_ID", b"2")])[1] == {"#/headers/ce_id": "the header is given more than once"}


def test_laxer_a_command_may_have_no_id_and_no_source() -> None:
    envelope = read_envelope(record(HELLO, without("ce_id", "ce_source", "ce_time")))
    assert (envelope.id, envelope.placed) == ("task-execution.commands/3/17", True)


# Events, as consumers get them

FAILED = cast("TaskExecutionFailed", EXAMPLES["TaskExecutionFailed"][0].body)
HEADERS = [
    *envelope_headers("TaskExecutionFailed", "e/3", "e", AT, trace=[("traceparent", b"00-1"), ("tracestate", b"a=1")]),
    ("ce_causationid", b"c"),
    ("ce_causationsource", b"/s"),
]


@pytest.mark.parametrize("form", [list, dict, lambda pairs: {name: content.decode() for name, content in pairs}])
def test_an_event_is_read_from_headers_as_any_client_gives_them(form: Callable[[Any], AnyHeaders]) -> None:
    received = received_event(form(HEADERS), encode_event(FAILED))
    assert received.event == FAILED
    assert (received.id, received.source, received.type) == ("e/3", "/task-execution-service", "TaskExecutionFailed")
    assert (received.subject, received.time, received.traceparent) == ("e", AT, "00-1")
    assert (received.causation_id, received.causation_source) == ("c", "/s")
    assert received.trace == (("traceparent", b"00-1"), ("tracestate", b"a=1"))


def test_an_event_that_a_gateway_made_structured_is_read() -> None:
    event = SdkEvent(
        {"id": "e/3", "source": "/task-execution-service", "type": "TaskExecutionFailed", "time": AT,
         "causationid": "c", "datacontenttype": "application/json"},
        json.loads(encode_event(FAILED)),
    )  # fmt: skip
    message = to_structured_event(event)
    received = received_event(message.headers, message.value)
    assert (received.event, received.id, received.time, received.causation_id) == (FAILED, "e/3", AT, "c")
    assert (received.subject, received.causation_source, received.traceparent) == (None, None, None)


def test_an_event_of_a_later_type_is_unknown() -> None:
    headers = envelope_headers("TaskExecutionResurrected", "e/4", "e", AT)
    received = received_event(headers, encode_event(FAILED))
    assert isinstance(received.event, UnknownEvent)
    assert (received.type, received.event.error_message) == ("TaskExecutionResurrected", FAILED.error_message)


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", encode_event(FAILED).replace(b'"schemaVersion":2', b'"schemaVersion":3')]
)
def test_what_is_no_event_or_of_a_later_schema_is_not_read(value: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        received_event(HEADERS, value)
