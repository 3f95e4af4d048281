"""A transactional producer that sends each request of a transaction once, and of which nothing is left at its end."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, NodeNotReadyError, ProducerClosed
from aiokafka.producer.message_accumulator import MessageBatch
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

from service.kafka.internals.whole_requests import WholeProduceRequest

ONCE: Final = (EndTxnRequest, TxnOffsetCommitRequest, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest)
"""The requests of a transaction that have no sequence number: the broker cannot tell a second one from the first."""


class UnknownOutcomeError(Exception):
    """A transactional request got no answer. Deliberately no KafkaError: aiokafka would send those again."""


class _Pending(set[Any]):
    """The batches under way. aiokafka takes out one that failed also where it has done so before, to send it again."""

    remove = set.discard


class _AskedBatch(MessageBatch):
    """A batch of aiokafka's that asks its own futures for their errors.

    A class: a function would have to know the batch that holds it, which would, with its 128 KB, wait to be collected.
    """

    def failure(self, exception: BaseException) -> None:
        super().failure(exception)
        for future in (self.future, self._drain_waiter, *(sent for sent, _ in self._msg_futures)):
            _asked(future)


def send_once(producer: AIOKafkaProducer) -> None:
    """Never send a transactional request a second time; without an answer to it, the call raises UnknownOutcomeError.

    aiokafka silently repeats these after a timeout or a reset. The protocol it speaks has no epoch per transaction,
    so a delayed first one can end a *later* transaction half-way (KAFKA-17754): inputs are lost.
    """
    producer._message_accumulator._pending_batches = _Pending()  # noqa: SLF001 - see there
    _ask_for_errors(producer)
    client: Any = producer.client
    send = client.send

    async def guarded(node: int, request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own signature
        if isinstance(request, ProduceRequest):
            request.__class__ = WholeProduceRequest
        try:
            return await send(node, request, **options)
        except NodeNotReadyError:  # it never left this machine
            raise
        except KafkaError as error:
            if isinstance(request, ONCE):
                raise UnknownOutcomeError(f"{type(request).__name__}: {error!r}") from error
            raise

    client.send = guarded


def _ask_for_errors(producer: AIOKafkaProducer) -> None:
    """Take note of what becomes of all that is sent: whoever sent it may have stopped waiting.

    Else the event loop tells of the error, with a traceback, when it is collected. aiokafka shields what it waits for,
    and a shield that was given up asks no more.
    """
    accumulator: Any = producer._message_accumulator  # noqa: SLF001 - see send_once
    manager: Any = producer._txn_manager  # noqa: SLF001 - the same
    add_offsets, add_batch, append = manager.add_offsets_to_txn, accumulator.add_batch, accumulator._append_batch  # noqa: SLF001 - the same

    def offsets_added(*offsets: Any) -> asyncio.Future[Any]:  # noqa: ANN401 - aiokafka's own signature
        return _asked(add_offsets(*offsets))

    async def batch_added(*batch: Any) -> asyncio.Future[Any]:  # noqa: ANN401 - the same
        return _asked(await add_batch(*batch))

    def appended(*records: Any) -> Any:  # noqa: ANN401 - the same
        batch = append(*records)
        batch.__class__ = _AskedBatch
        return batch

    manager.add_offsets_to_txn, accumulator._append_batch = offsets_added, appended  # noqa: SLF001 - see send_once
    accumulator.add_batch = batch_added


def _asked(future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


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
    if manager._transaction_waiter is not None:  # noqa: SLF001 - stop() leaves it
        _asked(manager._transaction_waiter)  # noqa: SLF001 - the same
