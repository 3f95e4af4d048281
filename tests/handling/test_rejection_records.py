"""What is kept of a refused command: all of it, as far as it can be, in a record that always fits."""

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from service.contracts.envelope import SOURCE
from service.contracts.problems import Code, problem
from service.contracts.rejections import CommandRejected
from service.contracts.topics import COMMANDS_TOPIC, MAX_COMMAND_BYTES, MAX_RECORD_BYTES
from service.handling.batches import Outgoing
from service.handling.deciding import Refused
from service.handling.rejection_records import rejection_record
from service.kafka.records import CutValue, Record
from tests.handling.pure import AT, SENT_MS, raw_record

HEAD = 4096
TRACE = [("traceparent", b"00-1"), ("tracestate", b"a=1")]
PROBLEM = problem(Code.INVALID_JSON, "The value is not strict JSON.")
LATEST_MS = 253_402_300_799_999


def rejected(record: Record) -> Outgoing:
    return rejection_record(Refused(record, None, PROBLEM), AT)


def kept(record: Record) -> Any:
    """What the rejection says of the record."""
    return json.loads(rejected(record).value or b"")["record"]


def raw(base64: str) -> bytes:
    return b64decode(base64, validate=True)


def test_a_rejection_is_a_cloud_event_about_the_place_of_the_command() -> None:
    record = rejected(raw_record(b"{", TRACE, key=b"k", partition=2, offset=17))
    place = f"{COMMANDS_TOPIC}/2/17".encode()
    assert (record.key, record.timestamp) == (b"k", 1_772_424_007_125)
    assert sorted(record.headers) == sorted(
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", place),
            ("ce_source", SOURCE.encode()),
            ("ce_type", b"TaskCommandRejected"),
            ("ce_subject", place),
            ("ce_time", b"2026-03-02T04:00:07.125Z"),
            ("content-type", b"application/json"),
            *TRACE,
        ]
    )


def test_the_problem_stands_beside_the_whole_record() -> None:
    headers = [("a", b"\xff"), ("a", b"2"), ("none", None)]
    record = rejected(raw_record(b"\xff{", headers, key=b"\xfe", partition=2, offset=17))
    body = json.loads(record.value or b"")
    assert body["problem"] == PROBLEM.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert body["record"] == {
        "topic": COMMANDS_TOPIC,
        "partition": 2,
        "offset": 17,
        "timestamp": "2026-03-02T04:00:00.000Z",
        "headers": [{"name": "a", "value": "/w=="}, {"name": "a", "value": "Mg=="}, {"name": "none", "value": ""}],
        "key": "/g==",
        "value": "/3s=",
        "valueSize": 2,
    }
    CommandRejected.model_validate(body)


@pytest.mark.parametrize("key", [None, b""])
def test_a_record_without_key_or_value_is_kept_as_such(key: bytes | None) -> None:
    record = raw_record(None, key=key)
    assert rejected(record).key is None
    assert ("key" in kept(record)) == (key is not None)
    assert {name for name in kept(record) if name.startswith("value")} == {"valueSize"}
    assert kept(record)["valueSize"] == 0


def test_an_empty_value_is_a_value() -> None:
    assert (kept(raw_record(b""))["value"], kept(raw_record(b""))["valueSize"]) == ("", 0)


# -- values


def test_a_value_of_the_largest_size_is_kept_whole_and_one_that_is_larger_by_its_digest_and_head() -> None:
    value = bytes(range(256)) * (MAX_COMMAND_BYTES // 256)
    whole = kept(raw_record(value))
    assert raw(whole["value"]) == value
    assert {name for name in whole if name.startswith("value")} == {"value", "valueSize"}
    large = kept(raw_record(value + b"!"))
    assert "value" not in large
    assert (large["valueSize"], large["valueSha256"]) == (MAX_COMMAND_BYTES + 1, sha256(value + b"!").hexdigest())
    assert raw(large["valueHead"]) == value[:HEAD]


def test_a_value_that_was_cut_is_given_by_what_was_found_of_the_whole() -> None:
    cut = kept(raw_record(CutValue(b"h" * (HEAD + 1), 9_000_000, "ab" * 32, "It is too large.")))
    assert "value" not in cut
    assert (cut["valueSize"], cut["valueSha256"], raw(cut["valueHead"])) == (9_000_000, "ab" * 32, b"h" * HEAD)


def test_a_cut_value_that_looks_whole_is_not_taken_for_it() -> None:
    cut = kept(raw_record(CutValue(b"h" * 10, MAX_COMMAND_BYTES, "ab" * 32, "It is too large.")))
    assert "value" not in cut
    assert raw(cut["valueHead"]) == b"h" * 10


def test_of_a_value_that_could_not_be_read_nothing_is_said() -> None:
    unread = kept(raw_record(CutValue(b"", 0, None, "It cannot be unpacked.")))
    assert {name: unread[name] for name in unread if name.startswith("value")} == {"valueSize": 0}


# -- keys and headers


@pytest.mark.parametrize("size", [HEAD, HEAD + 1])
def test_of_a_key_the_head_is_kept_and_it_is_the_key_of_the_rejection(size: int) -> None:
    record = raw_record(b"{", key=b"k" * size)
    assert rejected(record).key == raw(kept(record)["key"]) == b"k" * HEAD


@pytest.mark.parametrize("size", [HEAD, HEAD + 1])
def test_of_the_value_of_a_header_the_head_is_kept(size: int) -> None:
    (header,) = kept(raw_record(b"{", [("name", b"v" * size)]))["headers"]
    assert raw(header["value"]) == b"v" * HEAD


@pytest.mark.parametrize("count", [100, 101])
def test_of_many_headers_the_first_hundred_are_kept_in_order(count: int) -> None:
    headers = kept(raw_record(b"{", [(f"h{number}", b"") for number in range(count)]))["headers"]
    assert [header["name"] for header in headers] == [f"h{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("é" * 256, "é" * 256),
        ("é" * 257, "é" * 256),
        ("a\0b\0", "a\ufffdb\ufffd"),
        ("\0" * 257, "\ufffd" * 256),
        ("\x01\n", "\x01\n"),
    ],
)
def test_a_header_name_is_kept_to_256_characters_without_nul(name: str, expected: str) -> None:
    assert [header["name"] for header in kept(raw_record(b"{", [(name, b"")]))["headers"]] == [expected]


def test_only_one_trace_goes_on_however_many_came() -> None:
    headers = [pair for pair in rejected(raw_record(b"{", TRACE * 50)).headers if pair[0].startswith("trace")]
    assert headers == TRACE


def test_whatever_came_the_rejection_fits_into_a_record() -> None:
    headers = [("\U0001f600" * 256, b"v" * HEAD)] * 200
    record = rejected(raw_record(b"v" * MAX_COMMAND_BYTES, headers, key=b"k" * HEAD))
    assert len(record.value or b"") + len(record.key or b"") < MAX_RECORD_BYTES - 65_536


# -- times


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (-(2**63), "1970-01-01T00:00:00.000Z"),
        (-1, "1970-01-01T00:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (SENT_MS + 5, "2026-03-02T04:00:00.005Z"),
        (LATEST_MS, "9999-12-31T23:59:59.999Z"),
        (LATEST_MS + 1, "9999-12-31T23:59:59.999Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_outside_of_the_calendar_is_the_nearest_one_inside(timestamp: int, text: str) -> None:
    assert kept(replace(raw_record(b"{"), timestamp=timestamp))["timestamp"] == text
