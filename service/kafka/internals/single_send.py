"""A transactional producer that sends each request of a transaction once, and of which nothing is left at its end."""

import asyncio
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, NodeNotReadyError, ProducerClosed
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

ONCE: Final = (EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest)
"""The requests of a transaction that have no sequence number: the broker cannot tell a second one from the first."""

_F = TypeVar("_F", bound="asyncio.Future[Any]")


class UnknownOutcomeError(Exception):
    """A transactional request got no answer. Deliberately no KafkaError: aiokafka would send those again."""


class _Pending(set[Any]):
    """The batches under way. aiokafka takes out one that failed also where it has done so before, to send it again."""

    remove = set.discard


def send_once(producer: AIOKafkaProducer) -> None:
    """Never send a transactional request a second time; without an answer to it, the call raises UnknownOutcomeError.

    aiokafka silently repeats these after a timeout or a reset. The protocol it speaks has no epoch per transaction,
    so a delayed first one can end a *later* transaction half-way (KAFKA-17754): inputs are lost.
    """
    producer._message_accumulator._pending_batches = _Pending()  # noqa: SLF001 - see there
    _ask_for_errors(producer._txn_manager)  # noqa: SLF001 - see there
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


def asked_for_its_error(future: _F) -> _F:
    """The future, whose error is no news to the event loop when nobody waits for it any more."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _ask_for_errors(manager: Any) -> None:  # noqa: ANN401 - aiokafka's
    """Take note of what becomes of offsets that whoever sent them waits for no more: aiokafka shields the wait.

    Else the event loop tells of the error, with a traceback, when it is collected.
    """
    add = manager.add_offsets_to_txn

    def added(*offsets: Any) -> asyncio.Future[None]:  # noqa: ANN401 - aiokafka's own signature
        future: asyncio.Future[None] = add(*offsets)
        return asked_for_its_error(future)

    manager.add_offsets_to_txn = added


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


def leave_nothing(producer: AIOKafkaProducer) -> None:
    """Let go of what a producer that has ended still waits for, and of errors that nobody will ask it for.

    Else the event loop tells of each, with a traceback, when it is collected.
    """
    accumulator, manager = producer._message_accumulator, producer._txn_manager  # noqa: SLF001 - stop() leaves them
    accumulator.fail_all(ProducerClosed())  # its close() waits for these
    batches = {batch for queue in accumulator._batches.values() for batch in queue} | accumulator._pending_batches  # noqa: SLF001 - the same
    futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]  # noqa: SLF001 - the same
    futures += [future for batch in batches for future, _ in batch._msg_futures]  # noqa: SLF001 - the same
    futures.append(manager._transaction_waiter)  # noqa: SLF001 - the same
    for future in futures:
        if future is not None and future.done() and not future.cancelled():
            future.exception()
