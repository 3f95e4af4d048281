"""Poison: every record that is no valid command gets one rejection with its bytes, and its partition goes on."""

from base64 import b64decode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.contracts.envelope import MAX_COMMAND_DEPTH
from service.contracts.problems import Code, problem
from service.contracts.topics import COMMANDS_TOPIC, MAX_COMMAND_BYTES, REJECTIONS_TOPIC, REPLIES_TOPIC
from service.handling.deciding import Refused
from service.handling.handler import utc_now
from service.handling.rejection_records import rejection_record
from service.handling.timeouts import Timeouts
from service.kafka.records import Record
from service.projection.rows import rejection_row
from tests.handling.world import HeaderPairs, Running, World, execution_id, header, id_owned_by

PARTITION = 1
ID = id_owned_by(PARTITION)
ENVELOPE: HeaderPairs = [
    ("ce_specversion", b"1.0"), ("ce_id", ID.encode()), ("ce_source", b"/tests"), ("ce_type", b"ExecuteTask"),
]  # fmt: skip
INPUTS = b'{"taskId":"nobody:defined","taskVersion":"1.0.0","inputs":{"x":%s}}'
START = b'{"executionId":"%s"}' % execution_id(ID).encode()


def changed(name: str, value: bytes | None) -> HeaderPairs:
    return [pair for pair in ENVELOPE if pair[0] != name] + [(name, value)]


def nested(depth: int) -> bytes:
    return INPUTS % (b"[" * depth + b"]" * depth)


POISON: dict[str, tuple[bytes | None, HeaderPairs, str]] = {
    "not JSON": (b"{oops", ENVELOPE, "invalid_json"),
    "not UTF-8": (INPUTS % b'"\xff\xfe"', ENVELOPE, "invalid_json"),
    "empty": (b"", ENVELOPE, "invalid_json"),
    "no value": (None, ENVELOPE, "invalid_envelope"),
    "NaN": (INPUTS % b"NaN", ENVELOPE, "invalid_json"),
    "infinity by exponent": (INPUTS % b"1e400", ENVELOPE, "invalid_json"),
    "30-digit integer": (INPUTS % (b"9" * 30), ENVELOPE, "invalid_json"),
    "5,000-digit integer": (INPUTS % (b"9" * 5_000), ENVELOPE, "invalid_json"),
    "duplicate keys": (INPUTS % b'{"a":1,"a":2}', ENVELOPE, "invalid_json"),
    "NUL": (INPUTS % b'"\\u0000"', ENVELOPE, "invalid_json"),
    "lone surrogate": (INPUTS % b'"\\ud800"', ENVELOPE, "invalid_json"),
    "nested far too deep": (nested(5_000), ENVELOPE, "invalid_json"),
    "nested a little too deep": (nested(MAX_COMMAND_DEPTH), ENVELOPE, "invalid_json"),
    "not an object": (b"[]", ENVELOPE, "invalid_command"),
    "unknown type": (b"{}", changed("ce_type", b"Explode"), "unknown_command"),
    "no type": (b"{}", ENVELOPE[:-1], "invalid_envelope"),
    "no headers at all": (b"{}", [], "invalid_envelope"),
    "type without a value": (b"{}", changed("ce_type", None), "invalid_envelope"),
    "control characters": (b"{}", changed("ce_id", b"a\nb"), "invalid_envelope"),
    "header twice": (b"{}", [*ENVELOPE, ("ce_id", b"other")], "invalid_envelope"),
    "header not UTF-8": (b"{}", changed("ce_source", b"\xff\xfe"), "invalid_envelope"),
    "foreign header not UTF-8": (b"{}", [*ENVELOPE, ("x", b"\xff\x00")], "invalid_command"),
    "trace header not UTF-8": (b"{}", [*ENVELOPE, ("traceparent", b"\xff\xfe")], "invalid_command"),
    "reply_to not UTF-8": (b"{}", [*ENVELOPE, ("reply_to", b"\xff\xfe")], "invalid_reply_to"),
    "unknown definition": (INPUTS % b"1", ENVELOPE, "definition_not_found"),
    "id too long": (b"{}", changed("ce_id", b"x" * 2_000), "invalid_envelope"),
    "unknown execution": (START, changed("ce_type", b"StartTaskExecution"), "execution_not_found"),
    "no identity": (b"{}", ENVELOPE[:1] + ENVELOPE[3:], "invalid_command"),
}
CODECS = ("gzip", "snappy", "lz4", "zstd")
VALUE = INPUTS % (b'"' + b"a" * (MAX_COMMAND_BYTES - 1_000) + b'"')
HUGE: dict[str, HeaderPairs] = {
    "thousands of headers": [(f"x{number}", b"v") for number in range(20_000)],
    "two hundred thousand empty headers": [("", None)] * 200_000,
    "long names of control characters": [("\x01" * 8_000, b"\xff" * 8_000) for _ in range(200)],
    "a huge trace header": [("traceparent", b"0" * 4_500_000)],
    "a huge correlation id": [("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", b"c" * 4_500_000)],
    "a huge reply topic": [("reply_to", REPLIES_TOPIC.encode() + b"." + b"t" * 4_500_000)],
}
TOO_LARGE = INPUTS % (b'"' + b"a" * 3 * MAX_COMMAND_BYTES + b'"')
TIMES = {
    "microseconds for milliseconds": (1_700_000_000_000_000, "9999-12-31T23:59:59.999Z"),
    "the largest": (2**63 - 1, "9999-12-31T23:59:59.999Z"),
    "the last millisecond of 9999": (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    "an ordinary one": (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
    "a whole second": (1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
}
TRACE: HeaderPairs = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
LAST = "behind all of them"
REPEATED = "five hundred trace headers"


@pytest.fixture(scope="module")
async def running(world: World) -> AsyncIterator[Running]:
    """As patient as in production: some of these take seconds of CPU."""
    async with world.handler(timeouts=Timeouts()) as running:
        yield await running.all_open()


@pytest.fixture(scope="module")
async def places(world: World, running: Running) -> dict[str, tuple[int, int]]:
    """Where each poison was written, after all was handled; the last one asks for a reply."""
    places = {
        name: await world.write(value, headers, key=b"k\xff", partition=PARTITION)
        for name, (value, headers, _) in POISON.items()
    }
    for codec in CODECS:
        world.producer = Producer(
            {"bootstrap.servers": world.servers, "compression.type": codec, "message.max.bytes": 100_000_000}
        )
        places[codec] = await world.write(TOO_LARGE, ENVELOPE, partition=PARTITION)
    for name, headers in HUGE.items():
        places[name] = await world.write(VALUE, ENVELOPE + headers, partition=PARTITION)
    for name, (timestamp, _) in TIMES.items():
        places[name] = await world.write(b"{oops", ENVELOPE, partition=PARTITION, timestamp=timestamp)
    traces: HeaderPairs = [("traceparent", b"t" * 1_000)] * 500
    places[REPEATED] = await world.write(b"{oops", ENVELOPE + traces, partition=PARTITION)
    asking: HeaderPairs = [("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", b"re:last")]
    places[LAST] = await world.write(b"{oops", ENVELOPE + TRACE + asking, partition=PARTITION)
    await world.settled(120)
    assert running.owners[PARTITION].is_open
    return places


async def only_rejection(world: World, place: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """The code and the original record of the one rejection."""
    (rejection,) = await world.rejections(place)
    record = rejection["record"]
    assert (record["topic"], record["partition"], record["offset"]) == (COMMANDS_TOPIC, *place)
    return rejection["problem"]["code"], record


@pytest.mark.parametrize("poison", POISON)
async def test_poison_is_rejected_once_with_its_bytes(
    world: World, places: dict[str, tuple[int, int]], poison: str
) -> None:
    value, headers, expected = POISON[poison]
    code, record = await only_rejection(world, places[poison])
    assert code == expected
    assert b64decode(record["key"]) == b"k\xff"
    assert (b64decode(record["value"]) if "value" in record else None) == value
    originals = [(item["name"], b64decode(item["value"])) for item in record["headers"]]
    assert originals == [(name, content or b"") for name, content in headers]


@pytest.mark.parametrize("codec", CODECS)
async def test_a_size_that_compression_hid_is_rejected_by_hash_and_head(
    world: World, places: dict[str, tuple[int, int]], codec: str
) -> None:
    code, record = await only_rejection(world, places[codec])
    assert code == "payload_too_large"
    assert (record["valueSize"], record["valueSha256"]) == (len(TOO_LARGE), sha256(TOO_LARGE).hexdigest())
    assert TOO_LARGE.startswith(b64decode(record["valueHead"]))
    assert "value" not in record


@pytest.mark.parametrize("huge", HUGE)
async def test_headers_of_any_size_end_in_a_rejection_that_fits(
    world: World, places: dict[str, tuple[int, int]], huge: str
) -> None:
    code, record = await only_rejection(world, places[huge])
    assert code in {"payload_too_large", "invalid_reply_to"}
    assert b64decode(record["value"]) == VALUE


async def test_a_rejection_is_a_cloud_event_with_the_trace_and_is_replied(
    world: World, places: dict[str, tuple[int, int]]
) -> None:
    partition, offset = places[LAST]
    id_ = f"{COMMANDS_TOPIC}/{partition}/{offset}"
    (record,) = [item for item in await world.read(REJECTIONS_TOPIC) if header(item, "ce_id") == id_]
    assert header(record, "ce_type") == "TaskCommandRejected"
    assert TRACE[0] in record.headers
    (reply,) = await world.replies("last")
    assert (reply["outcome"], reply["problem"]["code"]) == ("rejected", "invalid_json")


@pytest.mark.parametrize("time", TIMES)
async def test_a_time_beyond_all_calendars_is_rejected_like_any_other(
    world: World, places: dict[str, tuple[int, int]], time: str
) -> None:
    _, record = await only_rejection(world, places[time])
    assert record["timestamp"] == TIMES[time][1]


async def test_a_rejection_carries_one_trace_however_many_came(
    world: World, places: dict[str, tuple[int, int]]
) -> None:
    partition, offset = places[REPEATED]
    id_ = f"{COMMANDS_TOPIC}/{partition}/{offset}"
    (record,) = [item for item in await world.read(REJECTIONS_TOPIC) if header(item, "ce_id") == id_]
    assert [name for name, _ in record.headers].count("traceparent") == 1


@given(
    st.lists(st.tuples(st.text() | st.sampled_from(["ce_type", "content-type", "a\0b"]), st.none() | st.binary())),
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_is_refused_the_projector_can_read_the_rejection(
    headers: list[tuple[str, bytes | None]], key: bytes | None, value: bytes | None, timestamp: int
) -> None:
    """What we write, we must be able to read: else a partition of the projection stops."""
    record = Record(COMMANDS_TOPIC, 1, 7, timestamp, key, value, tuple(headers))
    flaw = problem(Code.UNKNOWN_COMMAND, "no such command")
    written = rejection_record(Refused(record, None, flaw), utc_now())
    assert b"\\u0000" not in (written.value or b"")
    read = replace(record, topic=REJECTIONS_TOPIC, value=written.value, headers=tuple(written.headers))
    assert rejection_row(read)[4] == "unknown_command"
