"""What a producer sends of a transaction goes through the guard, and its sender is where we look for it."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, RequestTimedOutError
from aiokafka.producer.message_accumulator import MessageBatch
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

from service.contracts.topics import COMMANDS_TOPIC, REPLIES_TOPIC
from service.kafka.internals.single_send import UnknownOutcomeError, end_by_force, send_once
from service.kafka.internals.whole_requests import WholeProduceRequest

ONCE = [EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest]


async def test_all_requests_of_a_transaction_go_through_the_clients_send(kafka: str) -> None:
    sent: list[type] = []
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="internals") as producer:
        client: Any = producer.client
        send = client.send

        async def recorded(node: int, request: Any, **options: Any) -> Any:
            sent.append(type(request))
            return await send(node, request, **options)

        client.send = recorded
        send_once(producer)
        async with producer.transaction():
            await producer.send_offsets_to_transaction({TopicPartition(COMMANDS_TOPIC, 0): 0}, "internals")
            await producer.send_and_wait(REPLIES_TOPIC, b"{}", partition=0)
    assert {*ONCE, WholeProduceRequest} <= {*sent}


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("error", [RequestTimedOutError(), KafkaConnectionError("reset")], ids=repr)
async def test_a_lost_answer_is_an_error_that_aiokafka_does_not_try_again(kind: Any, error: Exception) -> None:
    with pytest.raises(UnknownOutcomeError, match=kind.__name__) as caught:
        await guarded(kind.__new__(kind), error)
    assert not isinstance(caught.value, KafkaError)
    with pytest.raises(NodeNotReadyError):  # it was not sent
        await guarded(kind.__new__(kind), NodeNotReadyError())
    with pytest.raises(type(error)):  # produce requests have sequence numbers
        await guarded(ProduceRequest.__new__(ProduceRequest), error)


async def guarded(request: object, error: Exception) -> None:
    """Send it through the guard, where it meets this error."""

    async def failing(*_: object, **__: object) -> None:
        raise error

    producer: Any = Mock(client=SimpleNamespace(send=failing))
    send_once(producer)
    await producer.client.send(0, request)


async def test_a_batch_that_was_sent_is_gone_without_the_collector(kafka: str) -> None:
    def batches() -> list[int]:
        return [id(kept) for kept in gc.get_objects() if isinstance(kept, MessageBatch)]

    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="internals") as producer:
        send_once(producer)
        gc.collect()
        gc.disable()
        try:
            before = batches()
            async with producer.transaction():
                for _ in range(3):
                    await producer.send_and_wait(REPLIES_TOPIC, b"{}", partition=0)
            assert len({*batches()} - {*before}) <= 1  # its sender still has the last one at hand
        finally:
            gc.enable()


async def test_after_an_end_by_force_nothing_runs(kafka: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        await producer.send_and_wait(REPLIES_TOPIC, b"{}", partition=0)
        sender, connections = producer._sender.sender_task, [*producer.client._conns.values()]
        assert any(connection.connected() for connection in connections)
        await end_by_force(producer, 3)
        await asyncio.wait([sender])
        assert not any(connection.connected() for connection in connections)
    finally:
        await producer.stop()
