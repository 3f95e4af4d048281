"""A transactional producer that sends each request of a transaction once, and that can be ended by force."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

ONCE: Final = (EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest)
"""The requests of a transaction that have no sequence number: the broker cannot tell a second one from the first."""


class UnknownOutcomeError(Exception):
    """A transactional request got no answer. Deliberately no KafkaError: aiokafka would send those again."""


def send_once(producer: AIOKafkaProducer) -> None:
    """Never send a transactional request a second time; without an answer to it, the call raises UnknownOutcomeError.

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
            if isinstance(request, ONCE):
                raise UnknownOutcomeError(f"{type(request).__name__}: {error!r}") from error
            raise

    client.send = guarded


async def end_by_force(producer: AIOKafkaProducer, seconds: float) -> None:
    """End the sender and the connections of a producer whose stop() did not return; takes so many seconds at most."""
    sender = producer._sender.sender_task  # noqa: SLF001 - stop() has no deadline of its own
    if sender is not None:
        sender.cancel()
    # Where stop() was given up in close(), aiokafka answers the second close() with a CancelledError of its own.
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.wait_for(producer.client.close(), seconds)
    if sender is not None:
        sender.cancel()  # the first one made it wait for its requests, which now wait for metadata for ever
