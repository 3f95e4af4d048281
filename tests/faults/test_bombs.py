"""Batches that are tiny on the network and huge unpacked, or damaged: each record gets one answer, little is held."""

import asyncio
import json
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.codec import gzip_encode, zstd_encode

from service.contracts.topics import COMMANDS_TOPIC, DEFINITIONS_TOPIC, EVENTS_TOPIC, MAX_RECORD_BYTES, REJECTIONS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.handling import metrics, rebalancing
from service.handling.queue import CommandQueue
from service.kafka.connection import Kafka
from service.kafka.internals import patient_reader
from service.kafka.internals.fetching import TURN_BYTES, bound_fetching
from service.kafka.internals.partition_records import MAX_AT_ONCE_BYTES
from service.kafka.provisioning import ensure_topics
from service.kafka.records import Record
from tests.faults.test_fetching import DEFINITION, EXECUTE
from tests.handling.world import PARTITIONS, World, a_world, body, execution_id, id_owned_by
from tests.kafka.record_batches import HeaderPairs, a_batch, a_record

MIB = 1 << 20
Row = tuple[bytes | None, HeaderPairs]


@pytest.fixture
async def world(tmp_path: Any) -> AsyncIterator[World]:
    """A broker for one test: what is written here would hold up other readers."""
    async with EmbeddedBroker(tmp_path, port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        async with a_world(broker.bootstrap_servers) as world:
            await world.define(DEFINITION)
            yield world


def task(id_: str) -> Row:
    headers = {"ce_specversion": "1.0", "ce_type": "ExecuteTask", "ce_source": "/tests", "ce_id": id_}
    return EXECUTE.model_dump_json().encode(), [(name, text.encode()) for name, text in headers.items()]


def packed(rows: Sequence[Row]) -> bytes:
    return zstd_encode(b"".join(a_record(n, 0, b"k", *row) for n, row in enumerate(rows)))


async def write(  # noqa: PLR0913 - one for each part of a batch
    world: World, partition: int, records: bytes, count: int, *, codec: int = 4, topic: str = COMMANDS_TOPIC
) -> int:
    """Write a batch made by hand; returns its first offset."""
    async with AIOKafkaProducer(bootstrap_servers=world.servers, request_timeout_ms=120_000) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"k", value=b"stands in for all of them")
        batch._build = lambda: bytearray(a_batch(records, count, codec=codec, first=0))
        sent = await (await producer.send_batch(batch, topic, partition=partition))
    return int(sent.offset)


async def write_rows(world: World, partition: int, rows: Sequence[Row]) -> int:
    return await write(world, partition, packed(rows), len(rows))


async def handled(world: World, seconds: float = 100) -> None:
    """Return once the handler has committed to the end of all commands."""
    tps = [TopicPartition(COMMANDS_TOPIC, partition) for partition in range(PARTITIONS)]
    async with asyncio.timeout(seconds):
        while True:
            ends = await world.probe.end_offsets(tps)
            if all([(await world.committed(tp.partition) or 0) >= end for tp, end in ends.items() if end]):
                return
            await asyncio.sleep(0.05)


async def outcomes(world: World) -> tuple[dict[tuple[int, int], Any], Counter[bytes | None]]:
    """The rejections by the place of their command, of which none has two, and how many events each execution has."""
    rejections = [body(record) for record in await world.read(REJECTIONS_TOPIC)]
    by_place = {(item["record"]["partition"], item["record"]["offset"]): item for item in rejections}
    assert len(by_place) == len(rejections)
    return by_place, Counter(record.key for record in await world.read(EVENTS_TOPIC))


async def test_every_record_of_eight_bombs_gets_one_answer_and_little_is_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, handed = [0], [0]
    put = CommandQueue.put

    def measured(queue: CommandQueue, records: Sequence[Record]) -> None:
        handed.append(sum(len(record.value or b"") for record in records))
        put(queue, records)
        held.append(queue.size)

    monkeypatch.setattr(CommandQueue, "put", measured)
    monkeypatch.setattr(rebalancing, "MAX_QUEUED_BYTES", 8 * MIB)
    ids = [id_owned_by(number % PARTITIONS) for number in range(24)]
    big, large = bytes(20 * MIB), b" " * MIB
    expected: dict[tuple[int, int], bytes] = {}
    for number in range(8):
        partition, mine = number % PARTITIONS, [task(id_) for id_ in ids[number::8]]
        rows = [mine[0], *[(big, [])] * 5, mine[1], *[(large, [])] * 3, (b"x" * 9 * MIB, []), mine[2]]
        first = await write_rows(world, partition, rows)
        for at, (value, _) in enumerate(rows):
            if value is not None and len(value) >= MIB:
                expected[partition, first + at] = value
    tiny = await write_rows(world, 3, [(b"", [])] * 20_000)
    async with world.handler() as running:
        await running.all_open()
        await handled(world)
    rejections, events = await outcomes(world)
    assert events == Counter({execution_id(id_).encode(): 1 for id_ in ids})
    assert set(rejections) == {*expected, *((3, tiny + at) for at in range(20_000))}
    for place, value in expected.items():
        record, code = rejections[place]["record"], rejections[place]["problem"]["code"]
        assert record["valueSize"] == len(value)
        if len(value) > MIB:
            assert code == "payload_too_large"
            assert record["valueSha256"] == sha256(value).hexdigest()
            assert value.startswith(b64decode(record["valueHead"]))
    assert max(held) <= 8 * MIB + TURN_BYTES + MAX_AT_ONCE_BYTES + MAX_RECORD_BYTES
    assert max(handed) <= TURN_BYTES + MAX_AT_ONCE_BYTES


async def test_what_is_beyond_the_limit_is_refused_unread_and_nothing_stands_still(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_reader, "MAX_BATCH_BYTES", 30 * MIB)
    before, beyond, behind, other = id_owned_by(0), id_owned_by(0), id_owned_by(0), id_owned_by(1)
    first = await write_rows(world, 0, [task(before), *[(bytes(20 * MIB), [])] * 3, task(beyond)])
    await write_rows(world, 0, [task(behind)])
    await write_rows(world, 1, [task(other)])
    async with world.handler() as running:
        await running.all_open()
        await handled(world)
    rejections, events = await outcomes(world)
    assert events == Counter(execution_id(id_).encode() for id_ in (before, behind, other))
    assert set(rejections) == {(0, first + at) for at in range(1, 5)}
    for at in range(2, 5):
        problem, record = rejections[0, first + at]["problem"], rejections[0, first + at]["record"]
        assert problem["code"] == "payload_too_large"
        assert "unpacks to more than" in problem["detail"]
        assert not record.keys() & {"value", "valueHead", "valueSha256"}


async def test_what_only_java_can_unpack_stops_nothing(world: World) -> None:
    """Java's gzip reads over what stands behind the last frame."""
    id_ = id_owned_by(2)
    await write(world, 2, gzip_encode(a_record(0, 0, b"k", *task(id_))) + b"garbage", 1, codec=1)
    async with world.handler() as running:
        await running.all_open()
        await handled(world)
    rejections, events = await outcomes(world)
    assert (rejections, events) == ({}, Counter([execution_id(id_).encode()]))


async def test_a_definition_that_is_too_large_hides_no_other(world: World) -> None:
    unreadable = metrics.DEFINITIONS_UNREADABLE._value.get()
    bomb = json.dumps({**DEFINITION, "taskId": "faults:bomb", "x": " " * 20 * MIB}).encode()
    behind = json.dumps({**DEFINITION, "taskId": "faults:behind"}).encode()
    await write(world, 0, packed([(bomb, []), (behind, [])]), 2, topic=DEFINITIONS_TOPIC)
    id_ = id_owned_by(0)
    async with world.handler() as running:
        await running.all_open()
        await world.command(EXECUTE.model_copy(update={"task_id": "faults:behind"}), id_=id_)
        await world.settled()
    assert len(await world.events(execution_id(id_))) == 1
    assert metrics.DEFINITIONS_UNREADABLE._value.get() == unreadable + 1


async def test_partitions_take_turns_while_bombs_are_read(world: World) -> None:
    for partition in (0, 1):
        await write_rows(world, partition, [(bytes(100 * MIB), [])])
    await write_rows(world, 2, [(b"small", [])] * 3)
    bound_fetching()
    async with AIOKafkaConsumer(bootstrap_servers=world.servers, group_id=None) as consumer:
        tps = [TopicPartition(COMMANDS_TOPIC, partition) for partition in range(3)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        seen: list[int] = []
        while len(seen) < 5:
            for tp, records in (await consumer.getmany(timeout_ms=1000)).items():
                seen += [tp.partition] * len(records)
    assert (seen[:3], sorted(seen[3:])) == ([2, 2, 2], [0, 1])


async def test_a_bomb_that_is_given_up_half_read_keeps_no_other_from_being_read(world: World) -> None:
    for partition in (0, 1):
        await write_rows(world, partition, [(bytes(50 * MIB), []), (b"small", [])])
    bound_fetching()
    async with AIOKafkaConsumer(bootstrap_servers=world.servers, group_id=None) as consumer:
        tps = [TopicPartition(COMMANDS_TOPIC, partition) for partition in range(2)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        turn = consumer._fetcher._turn
        while turn.patient is None:
            assert not await consumer.getmany(timeout_ms=20)
        given_up = turn.patient._tp
        consumer.pause(given_up)
        (other,) = {*tps} - {given_up}
        assert len((await consumer.getmany(timeout_ms=10_000))[other][0].value) == 4096
