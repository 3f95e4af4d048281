"""The replies that a client waits for: one consumer of the replies topic hands each reply to the one who expects it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException
from uuid_utils.compat import uuid7

from service.contracts.envelope import CORRELATION_ID
from service.contracts.problems import Code, RejectedError, problem

_POLL_MS = 60_000
_MAX_RECORDS = 1000

log = structlog.get_logger(__name__)


class ClientClosedError(RejectedError):
    """The client reads no replies (any more), so it sends nothing. The action it asks for: open a new one."""

    def __init__(self, why: str) -> None:
        super().__init__(problem(Code.UNAVAILABLE, why))


class PendingReplies:
    """Reads the replies topic from its end, committed transactions only; replies to others are ignored.

    Replies are handed out as they came, as bytes. When the reading ends, whatever the cause, all who wait get a
    ClientClosedError, and so does whoever comes later.
    """

    def __init__(self) -> None:
        self._prefix = f"{uuid7()}/"
        self._count = 0
        self._expected: dict[bytes, asyncio.Future[bytes]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._closed: str | None = "The client is not open: use it as `async with CommandClient(…) as client`."

    @property
    def closed(self) -> str | None:
        """Why no replies are read; None while they are."""
        return self._closed

    async def open(self, consumer: AIOKafkaConsumer) -> None:
        """Read with this started consumer. On return, every reply to a command sent from now on will be seen."""
        for partition in consumer.assignment():
            await consumer.position(partition)
        self._listener = asyncio.create_task(self._listen(consumer), name="command replies")
        self._listener.add_done_callback(self._ended)
        self._closed = None

    async def close(self) -> None:
        """Stop reading. The consumer stays its owner's to stop."""
        if self._listener:
            self._listener.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._listener

    @contextmanager
    def expecting(self) -> Iterator[tuple[bytes, asyncio.Future[bytes]]]:
        """A correlation id that nobody else uses, and the future reply to it.

        Raises:
            ClientClosedError: no replies are read.
        """
        if self._closed:
            raise ClientClosedError(self._closed)
        self._count += 1
        correlation_id = f"{self._prefix}{self._count}".encode()
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._expected[correlation_id] = reply
        try:
            yield correlation_id, reply
        finally:
            del self._expected[correlation_id]
            reply.cancel()

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            except (UnicodeDecodeError, CorruptRecordException) as error:
                # Anybody may have written it. Whose reply is passed over sends the same command again, which is safe.
                log.warning("replies_passed_over", error=repr(error))
                await consumer.seek_to_end()
                continue
            for records in fetched.values():
                for record in records:
                    self._deliver(record)

    def _deliver(self, record: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
        for name, content in record.headers:
            if name == CORRELATION_ID and (reply := self._expected.get(content)) and not reply.done():
                reply.set_result(record.value or b"")

    def _ended(self, listener: asyncio.Task[None]) -> None:
        error = None if listener.cancelled() else listener.exception()
        cause = f"the replies can no longer be read: {error!r}" if error else "the client was closed"
        self._closed = f"The client sends no more commands: {cause}. Open a new one."
        for reply in self._expected.values():
            if not reply.done():
                reply.set_exception(ClientClosedError(cause))
