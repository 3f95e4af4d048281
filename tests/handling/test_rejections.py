"""Poison: every record that is no valid command gets one rejection with its bytes, and its partition goes on."""

from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from confluent_kafka import Producer

from service.contracts.envelope import MAX_COMMAND_DEPTH
from service.contracts.topics import COMMANDS, MAX_COMMAND_BYTES, REJECTIONS, REPLIES
from service.domain.identity import command_id
from tests.handling.world import HeaderPairs, Running, World, header

pytestmark = pytest.mark.usefixtures("running")

PARTITION = 1
ENVELOPE: HeaderPairs = [
    ("ce_specversion", b"1.0"), ("ce_id", b"poison"), ("ce_source", b"/tests"), ("ce_type", b"ExecuteTask"),
]  # fmt: skip
INPUTS = b'{"taskId":"a:b","taskVersion":"1.0.0","inputs":{"x":%s}}'


def with_header(name: str, value: bytes | None) -> HeaderPairs:
    return [pair for pair in ENVELOPE if pair[0] != name] + [(name, value)]


POISON: dict[str, tuple[bytes | None, HeaderPairs, str]] = {
    "not JSON": (b"{oops", ENVELOPE, "invalid_json"),
    "not UTF-8": (INPUTS % b'"\xff\xfe"', ENVELOPE, "invalid_json"),
    "nothing but a BOM": (b"\xef\xbb\xbf", ENVELOPE, "invalid_json"),
    "empty": (b"", ENVELOPE, "invalid_json"),
    "no value": (None, ENVELOPE, "invalid_envelope"),
    "NaN": (INPUTS % b"NaN", ENVELOPE, "invalid_json"),
    "infinity by exponent": (INPUTS % b"1e400", ENVELOPE, "invalid_json"),
    "30-digit integer": (INPUTS % (b"9" * 30), ENVELOPE, "invalid_json"),
    "5,000-digit integer": (INPUTS % (b"9" * 5_000), ENVELOPE, "invalid_json"),
    "duplicate keys": (INPUTS % b'{"a":1,"a":2}', ENVELOPE, "invalid_json"),
    "NUL": (INPUTS % b'"\\u0000"', ENVELOPE, "invalid_json"),
    "lone surrogate": (INPUTS % b'"\\ud800"', ENVELOPE, "invalid_json"),
    "nested too deep": (INPUTS % (b"[" * 5_000 + b"]" * 5_000), ENVELOPE, "invalid_json"),
    "nested a little too deep": (INPUTS % (b"[" * MAX_COMMAND_DEPTH + b"]" * MAX_COMMAND_DEPTH), ENVELOPE, "invalid_json"),
    "not an object": (b"[]", ENVELOPE, "invalid_command"),
    "unknown type": (b"{}", with_header("ce_type", b"Explode"), "unknown_command"),
    "no type": (b"{}", ENVELOPE[:-1], "invalid_envelope"),
    "type without a value": (b"{}", with_header("ce_type", None), "invalid_envelope"),
    "control characters": (b"{}", with_header("ce_id", b"a\nb"), "invalid_envelope"),
    "header twice": (b"{}", [*ENVELOPE, ("ce_id", b"other")], "invalid_envelope"),
    "header not UTF-8": (b"{}", with_header("ce_source", b"\xff\xfe"), "invalid_envelope"),
    "origin not UTF-8": (b"{}", [*ENVELOPE, ("taskexec_origin", b"\xff")], "invalid_envelope"),
    "foreign header not UTF-8": (b"{}", [*ENVELOPE, ("x", b"\xff\x00")], "invalid_command"),
    "trace header not UTF-8": (b"{}", [*ENVELOPE, ("traceparent", b"\xff\xfe")], "invalid_command"),
    "reply_to not UTF-8": (b"{}", [*ENVELOPE, ("reply_to", b"\xff\xfe")], "invalid_reply_to"),
    "unknown definition": (INPUTS % b"1", ENVELOPE, "definition_not_found"),
    "id too long": (b"{}", with_header("ce_id", b"x" * 2_000), "invalid_envelope"),
    "unknown execution": (
        b'{"executionId":"00000000-0000-0000-0000-000000000001"}',
        with_header("ce_type", b"StartTaskExecution"),
        "execution_not_found",
    ),
}  # fmt: skip


@pytest.mark.parametrize("poison", POISON)
async def test_poison_is_rejected_once_with_its_bytes_and_its_partition_goes_on(world: World, poison: str) -> None:
    value, headers, code = POISON[poison]
    place = await world.write(value, headers, key=b"k\xff", partition=PARTITION)
    behind = await world.write(b"behind", ENVELOPE, partition=PARTITION)
    await world.settled()
    found = await all_about(world, place)
    (rejection,) = found
    assert rejection["problem"]["code"] == code
    record = rejection["record"]
    assert (record["topic"], record["partition"], record["offset"]) == (COMMANDS, *place)
    assert b64decode(record["key"]) == b"k\xff"
    assert (b64decode(record["value"]) if "value" in record else None) == value
    assert [(item["name"], b64decode(item["value"])) for item in record["headers"]] == [
        (name, content or b"") for name, content in headers
    ]
    assert len(await all_about(world, behind)) == 1


async def all_about(world: World, place: tuple[int, int]) -> list[Any]:
    """A command about another partition's execution was forwarded: then its rejection names its last place."""
    origin = f"{COMMANDS}/{place[0]}/{place[1]}".encode()
    forwarded = [
        (record.partition, record.offset)
        for record in await world.read(COMMANDS)
        if ("taskexec_origin", origin) in record.headers
    ]
    found = [item for last in forwarded for item in await world.rejections(last)]
    for item in found:
        item["record"].update(partition=place[0], offset=place[1])
        item["record"]["headers"].pop()
    return found + await world.rejections(place)


async def test_a_rejection_is_a_cloud_event_that_carries_the_trace_and_is_replied_if_asked(world: World) -> None:
    trace: HeaderPairs = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    asking: HeaderPairs = [("reply_to", REPLIES.encode()), ("correlation_id", b"re:bad")]
    place = await world.write(b"{oops", ENVELOPE + trace + asking, partition=PARTITION)
    await world.settled()
    (record,) = [r for r in await world.read(REJECTIONS) if header(r, "ce_id") == f"{COMMANDS}/{place[0]}/{place[1]}"]
    assert header(record, "ce_type") == "TaskCommandRejected"
    assert ("traceparent", trace[0][1]) in record.headers
    (reply,) = await world.replies("bad")
    assert (reply["outcome"], reply["problem"]["code"]) == ("rejected", "invalid_json")


@pytest.fixture
def compressing(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """Write with this codec, records of any size that shrinks under the limit."""
    before = world.producer
    world.producer = Producer(
        {"bootstrap.servers": world.servers, "compression.type": request.param, "message.max.bytes": 100_000_000}
    )
    yield
    world.producer = before


@pytest.mark.parametrize("compressing", ["gzip", "snappy", "lz4", "zstd"], indirect=True)
@pytest.mark.usefixtures("compressing")
async def test_a_record_whose_size_compression_hid_is_rejected_by_hash_and_head(world: World) -> None:
    value = INPUTS % (b'"' + b"a" * 3 * MAX_COMMAND_BYTES + b'"')
    place = await world.write(value, ENVELOPE, partition=PARTITION)
    await world.settled()
    (rejection,) = await world.rejections(place)
    assert rejection["problem"]["code"] == "payload_too_large"
    record = rejection["record"]
    assert record["valueSize"] == len(value)
    assert record["valueSha256"] == sha256(value).hexdigest()
    assert value.startswith(b64decode(record["valueHead"]))
    assert "value" not in record


HUGE: dict[str, HeaderPairs] = {
    "thousands of headers": [(f"x{number}", b"v") for number in range(20_000)],
    "a million empty headers": [("", None)] * 1_000_000,
    "headers with long names of control characters": [("\x01" * 8_000, b"\xff" * 8_000) for _ in range(200)],
    "a huge trace header": [("traceparent", b"0" * 4_500_000)],
    "a huge correlation id": [("reply_to", REPLIES.encode()), ("correlation_id", b"c" * 4_500_000)],
    "a huge reply topic": [("reply_to", REPLIES.encode() + b"." + b"t" * 4_500_000)],
}


@pytest.mark.parametrize("huge", HUGE)
@pytest.mark.parametrize("compressing", ["zstd"], indirect=True)
@pytest.mark.usefixtures("compressing")
async def test_headers_of_any_size_are_rejected_in_a_record_that_fits(world: World, huge: str) -> None:
    value = INPUTS % (b'"' + b"a" * (MAX_COMMAND_BYTES - 1_000) + b'"')
    place = await world.write(value, ENVELOPE + HUGE[huge], partition=PARTITION)
    after = await world.write(
        b"[]", [*ENVELOPE, ("reply_to", REPLIES.encode()), ("correlation_id", f"re:{huge}".encode())],
        partition=PARTITION,
    )  # fmt: skip
    await world.settled()
    (rejection,) = await world.rejections(place)
    assert rejection["problem"]["code"] in {"payload_too_large", "invalid_reply_to"}
    assert b64decode(rejection["record"]["value"]) == value
    assert len(await world.rejections(after)) == 1
    assert len(await world.replies(huge)) == 1


async def test_a_huge_key_and_a_misplaced_command_of_full_size_pass_on(world: World, running: Running) -> None:
    """The limit counts key and headers: a record just under it can be forwarded with its origin added."""
    id_ = next(str(n) for n in range(100) if running.owners[PARTITION]._desk.partitions and owner_of(str(n)) != PARTITION)
    data = INPUTS % b'"%s"'
    size = MAX_COMMAND_BYTES - sum(len(name) + len(content or b"") + 4 for name, content in with_header("ce_id", id_.encode()))
    value = data % (b"a" * (size - len(data) + 2 - 900_000))
    place = await world.write(value, with_header("ce_id", id_.encode()), key=b"k" * 899_000, partition=PARTITION)
    await world.settled()
    (rejection,) = await all_about(world, place)
    assert rejection["problem"]["code"] == "definition_not_found"


def owner_of(id_: str) -> int:
    from service.kafka.murmur2 import partition_of

    return partition_of(command_id("/tests", id_).encode(), 4)
