"""The producer of a partition: each transactional request goes out once, and whatever hangs, it is gone in time."""

import asyncio
import gc
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import InvalidTopicError, KafkaError, NodeNotReadyError, RequestTimedOutError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, HANDLER_GROUP
from service.handling.batches import Batches, Outgoing
from service.handling.partition import PartitionOwner
from service.handling.producer import MAX_SENT_BATCH_BYTES, start_producer, stop_producer
from service.kafka.internals.single_send import UnknownOutcomeError
from tests.handling.world import QUICK, SECONDS, World, eventually

PARTITION = 3
ONCE = [EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest]


class Wire:
    """What the producer of one partition sends; the first request of one kind meets an error, sent or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Any, error: Exception, *, sent: bool) -> None:
        self.tries: Counter[AIOKafkaClient] = Counter()
        send = AIOKafkaClient.send

        async def faulty(client: AIOKafkaClient, node: int, request: Any, **options: Any) -> Any:
            if not isinstance(request, kind) or not request._transactional_id.endswith(f".{PARTITION}"):
                return await send(client, node, request, **options)
            self.tries[client] += 1
            first = self.tries.total() == 1
            answer = await send(client, node, request, **options) if sent or not first else None
            if first:
                raise error
            return answer

        monkeypatch.setattr(AIOKafkaClient, "send", faulty)


@pytest.mark.parametrize("kind", ONCE)
async def test_after_a_lost_answer_the_same_producer_sends_nothing_of_the_kind(
    world: World, write_batch: Any, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    aborted: list[AIOKafkaProducer] = []

    async def abort(producer: AIOKafkaProducer) -> None:
        aborted.append(producer)

    monkeypatch.setattr(AIOKafkaProducer, "abort_transaction", abort)
    wire = Wire(monkeypatch, kind, RequestTimedOutError(), sent=True)
    batch = await write_batch(PARTITION)
    async with world.handler() as running:
        await batch.assert_exactly_once()
        await running.all_open()
        await (await write_batch(PARTITION)).assert_exactly_once()
    assert next(iter(wire.tries.values())) == 1
    assert len(wire.tries) == 2
    assert not aborted  # which would be an EndTxn as well


@pytest.mark.parametrize("kind", ONCE)
async def test_what_never_left_is_sent_again(
    world: World, write_batch: Any, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    wire = Wire(monkeypatch, kind, NodeNotReadyError(), sent=False)
    batch = await write_batch(PARTITION)
    async with world.handler() as running:
        epoch = (await running.all_open()).owners[PARTITION].epoch
        await batch.assert_exactly_once()
        assert running.owners[PARTITION].epoch == epoch
    assert len(wire.tries) == 1
    assert wire.tries.total() > 1


@pytest.fixture
async def producer(world: World) -> AsyncIterator[AIOKafkaProducer]:
    """One that the test stops, however badly; what it leaves behind is an error."""
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    producer = await start_producer(world.kafka, "stopped", QUICK)
    sender, connections = producer._sender.sender_task, producer.client._conns.values()
    yield producer
    await eventually(sender.done, "the sender has ended")
    assert not any(connection.connected() for connection in connections)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del producer
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert noise == []


async def write_into_the_void(producer: AIOKafkaProducer) -> None:
    """Put a batch on the wire that never arrives: stop() waits for it."""
    send, sent = producer.client.send, asyncio.Event()

    async def void(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            await producer.client.ready(node)
            for connection in producer.client._conns.values():
                connection._writer.write = lambda _: None
            sent.set()
        return await send(node, request, **options)

    producer.client.send = void
    await producer.begin_transaction()
    await producer.send(EVENTS_TOPIC, b"never seen", partition=PARTITION)
    await sent.wait()


class Breaking:
    """A producer's wire on which requests of one kind are held up, and then meet an error."""

    def __init__(self, producer: AIOKafkaProducer, kind: type, error: Exception) -> None:
        self._sent, self._broken = asyncio.Event(), asyncio.Event()
        send = producer.client.send

        async def breaking(node: int, request: Any, **options: Any) -> Any:
            if not isinstance(request, kind):
                return await send(node, request, **options)
            self._sent.set()
            await self._broken.wait()
            raise error

        producer.client.send = breaking

    async def given_up(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do this until the request is sent, give it up as a deadline does, and only then let the wire break."""
        waiting = asyncio.create_task(work)
        await self._sent.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        self.break_()

    def break_(self) -> None:
        """From now on, nothing is held up."""
        self._broken.set()


async def test_what_nobody_waits_for_any_more_fails_in_silence(producer: AIOKafkaProducer) -> None:
    """As when a transaction's deadline comes first, and then the connection breaks."""
    wire = Breaking(producer, AddOffsetsToTxnRequest, UnknownOutcomeError())
    await producer.begin_transaction()
    offsets = {TopicPartition(COMMANDS_TOPIC, PARTITION): 0}
    await wire.given_up(producer.send_offsets_to_transaction(offsets, HANDLER_GROUP))
    await eventually(producer._sender.sender_task.done, "the sender has failed")
    await stop_producer(producer, QUICK)


async def test_a_stop_that_hangs_has_a_deadline(producer: AIOKafkaProducer) -> None:
    await write_into_the_void(producer)
    async with asyncio.timeout(SECONDS):
        await stop_producer(producer, QUICK)


async def test_a_stop_that_is_cut_short_leaves_nothing_running(producer: AIOKafkaProducer) -> None:
    """The partition is taken away while its producer is being stopped."""
    await write_into_the_void(producer)
    stopping = asyncio.create_task(stop_producer(producer, QUICK))
    await eventually(lambda: producer._closed, "stop() has begun")
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_connections_that_do_not_close_have_a_deadline(producer: AIOKafkaProducer) -> None:
    """A frozen broker does not take what they still have to send. aiokafka cancels itself then, which is not us."""
    for connection in producer.client._conns.values():
        connection._closed_fut = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(SECONDS):
        await stop_producer(producer, QUICK)


async def test_a_partition_whose_task_ends_by_itself_ends_the_handler(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would handle it: as a cancelled task, it would not even be reported."""

    async def cancelled(_: PartitionOwner, __: BaseException) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(PartitionOwner, "_recover", cancelled)
    async with world.handler() as running:
        (await running.all_open()).owners[PARTITION].fail(KafkaError("injected"))
        with pytest.raises(RuntimeError, match=f"partition {PARTITION}"):
            await asyncio.wait_for(running.task, 10)


async def test_a_batch_that_fails_when_nobody_waits_any_more_fails_in_silence(producer: AIOKafkaProducer) -> None:
    wire = Breaking(producer, ProduceRequest, InvalidTopicError())
    await producer.begin_transaction()
    batches = Batches(producer.create_batch)
    batches.put(EVENTS_TOPIC, PARTITION, Outgoing(None, b"x", [], 0))
    await wire.given_up(batches.send(producer))
    await eventually(lambda: not producer._message_accumulator._pending_batches, "the batch has failed")
    await stop_producer(producer, QUICK)


async def test_a_batch_that_fails_while_the_next_one_waits_fails_in_silence(producer: AIOKafkaProducer) -> None:
    Breaking(producer, AddPartitionsToTxnRequest, UnknownOutcomeError()).break_()
    await producer.begin_transaction()
    batches = Batches(producer.create_batch)
    for _ in range(2):
        batches.put(EVENTS_TOPIC, PARTITION, Outgoing(None, b"x" * (MAX_SENT_BATCH_BYTES - 1_000), [], 0))
    with pytest.raises(KafkaError):
        await batches.send(producer)
    await stop_producer(producer, QUICK)
