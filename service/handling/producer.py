"""The transactional producer of one partition: fenced by its transactional id, used once, never after an error."""

import asyncio
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

from service.contracts.topics import MAX_RECORD_BYTES
from service.handling.timeouts import Timeouts

MAX_SENT_BATCH_BYTES: Final = 900_000
"""Fits every topic of ours and a client's reply topic with the broker's default limit of 1 MiB."""

_ONCE: Final = (EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest)

log = structlog.get_logger(__name__)


class UnknownOutcomeError(Exception):
    """A transactional request got no answer. Deliberately no KafkaError: aiokafka would send those again."""


async def start_producer(bootstrap_servers: str, transactional_id: str, timeouts: Timeouts) -> AIOKafkaProducer:
    """Start the producer: from here on, whoever used this transactional id before is fenced."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        transactional_id=transactional_id,
        linger_ms=0,
        max_batch_size=MAX_SENT_BATCH_BYTES,
        max_request_size=2 * MAX_RECORD_BYTES,
        request_timeout_ms=int(timeouts.request * 1000),
        transaction_timeout_ms=int(timeouts.transaction_broker * 1000),
        retry_backoff_ms=int(timeouts.retry_backoff * 1000),
    )
    try:
        await producer.start()
    except BaseException:
        await stop_producer(producer, timeouts)
        raise
    send_once(producer)
    return producer


def send_once(producer: AIOKafkaProducer) -> None:
    """Never send a transactional request a second time.

    aiokafka silently repeats these after a timeout or a reset. The protocol it speaks has no epoch per transaction,
    so a delayed first one can end a *later* transaction half-way (KAFKA-17754): inputs are lost.
    """
    client: Any = producer.client
    send = client.send

    async def guarded(node: int, request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own signature
        try:
            return await send(node, request, **options)
        except NodeNotReadyError:  # it never left this machine
            raise
        except KafkaError as error:
            if isinstance(request, _ONCE):
                raise UnknownOutcomeError(f"{type(request).__name__}: {error!r}") from error
            raise

    client.send = guarded


async def stop_producer(producer: AIOKafkaProducer, timeouts: Timeouts) -> None:
    """Stop it within a deadline; an open transaction is ended by the next InitProducerId or by the coordinator.

    To cancel this cuts it short, but leaves nothing running either.
    """
    try:
        await asyncio.wait_for(producer.stop(), timeouts.stop)
    except (Exception, asyncio.CancelledError) as error:  # whatever is wrong with it, it must be gone
        log.warning("producer_stop_forced", error=repr(error))
        sender = producer._sender.sender_task  # noqa: SLF001 - stop() has no deadline of its own
        if sender is not None:
            sender.cancel()
        # Where stop() was given up in close(), aiokafka answers the second close() with a CancelledError of its own.
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.wait_for(producer.client.close(), timeouts.stop)
        if sender is not None:
            sender.cancel()  # the first one made it wait for its requests, which now wait for metadata for ever
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
