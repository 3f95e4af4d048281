"""Sends commands over Kafka and awaits their replies."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from service.client.messages import Message, command_message, execution_id
from service.client.replies import ClientClosedError, PendingReplies
from service.client.stopping import stop
from service.contracts import topics
from service.contracts.commands import Command
from service.contracts.envelope import CORRELATION_ID, REPLY_TO, Headers
from service.contracts.problems import Code, reject
from service.contracts.replies import CommandReply, CommandUnansweredError
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import knock

_MAX_REQUEST_BYTES: Final = topics.MAX_COMMAND_BYTES + 65_536
_BATCH_BYTES: Final = 131_072


class CommandClient:
    """One producer and one reply consumer, shared by any number of concurrent commands.

    Args:
        kafka: where Kafka is; `host:port[,host:port…]` will do where it needs neither a prefix nor a password.
        source: the CloudEvents source of commands that name none. With a command's id it is the command's identity:
            two programs that could use the same ids need sources of their own.
        timeout: seconds to wait for a reply, where a call does not say.
        start_timeout: seconds to wait for Kafka at the start, and for each of its answers later.
        max_in_flight: commands that may be unanswered at once; more wait for their turn, within their own timeout.
        replies: the topic that replies are read from, as we call it (`contracts.topics.REPLY_TOPIC`); it must exist.

    Raises:
        ConnectionError: on entering: Kafka does not answer or refuses us, or the service's topics are not there.
    """

    def __init__(  # noqa: PLR0913 - each has its meaning, and all but two a default
        self,
        kafka: Kafka | str,
        source: str,
        *,
        timeout: float = 30.0,
        start_timeout: float = 30.0,
        max_in_flight: int = 1_000,
        replies: str | None = None,
    ) -> None:
        self._kafka, self._source = Kafka.at(kafka), source
        self._reply_topic = self._kafka.topic(replies or topics.REPLIES_TOPIC)
        self._timeout, self._start_timeout = timeout, start_timeout
        self._slots = asyncio.Semaphore(max_in_flight)
        self._replies = PendingReplies()
        self._producer: AIOKafkaProducer | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._start_timeout):
                    await self._open(stack)
            except (KafkaError, TimeoutError) as error:
                raise ConnectionError(self._start_failure(error)) from error
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def closed(self) -> str | None:
        """Why nothing can be submitted; None while it can."""
        return self._replies.closed

    async def submit(
        self,
        command: Command,
        *,
        id_: str | None = None,
        source: str | None = None,
        trace: Iterable[tuple[str, bytes]] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - its expiry has an error of its own
    ) -> CommandReply:
        """Send the command and wait for its reply; that it was rejected is a reply too.

        `id_` is the CloudEvents id (a new one if not given); `trace` are W3C trace headers to pass on.

        Raises:
            CommandUnansweredError: no reply came; send the same command with the same id again.
            RejectedError: the command is too large to be sent.
            ClientClosedError: the client can read no replies, so the command was not sent.
            ValueError: inputs or outputs hold what cannot be written as JSON.
        """
        return await self._ask(self._message(command, id_, source, trace), timeout)

    async def submit_raw(
        self,
        value: bytes | None,
        *,
        headers: Headers,
        key: bytes | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - its expiry has an error of its own
    ) -> CommandReply:
        """Send a record as it stands and wait for its reply. Errors as of `submit`; one of key and value is needed."""
        return await self._ask(Message(key, value, headers), timeout)

    async def publish(
        self,
        command: Command,
        *,
        id_: str | None = None,
        source: str | None = None,
        trace: Iterable[tuple[str, bytes]] = (),
    ) -> str:
        """Send the command without asking for a reply; the executionId it is about, once Kafka has stored it.

        Raises:
            KafkaError: it may or may not have been stored; publish the same command with the same id again.
            RejectedError, ClientClosedError, ValueError: as of `submit`.
        """
        message = self._message(command, id_, source, trace)
        await (await self._send(message))
        return execution_id(command, message.id or "", message.source or "")

    async def _open(self, stack: AsyncExitStack) -> None:
        await knock(self._kafka)
        request_timeout_ms = int(self._start_timeout * 1_000)
        self._producer = AIOKafkaProducer(
            **self._kafka.options(),
            enable_idempotence=True,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            max_request_size=_MAX_REQUEST_BYTES,
            request_timeout_ms=request_timeout_ms,
        )
        stack.push_async_callback(stop, self._producer.stop)
        await self._producer.start()
        await self._producer.partitions_for(self._kafka.topic(topics.COMMANDS_TOPIC))
        consumer = AIOKafkaConsumer(
            self._reply_topic,
            **self._kafka.options(),
            group_id=None,
            auto_offset_reset="latest",
            isolation_level="read_committed",
            fetch_max_bytes=topics.MAX_RECORD_BYTES,
            request_timeout_ms=request_timeout_ms,
        )
        stack.push_async_callback(stop, consumer.stop)
        await consumer.start()
        stack.push_async_callback(self._replies.close)
        await self._replies.open(consumer)

    def _message(
        self, command: Command, id_: str | None, source: str | None, trace: Iterable[tuple[str, bytes]]
    ) -> Message:
        id_, source = id_ or str(uuid7()), source or self._source
        return command_message(command, id_=id_, source=source, at=datetime.now(UTC), trace=trace)

    async def _ask(self, message: Message, timeout: float | None) -> CommandReply:  # noqa: ASYNC109 - as of submit
        timeout = self._timeout if timeout is None else timeout
        with self._replies.expecting() as (correlation_id, reply):
            asking = (REPLY_TO, self._reply_topic.encode()), (CORRELATION_ID, correlation_id)
            try:
                async with asyncio.timeout(timeout), self._slots:
                    delivery = await self._send(message, asking)
                    delivery.add_done_callback(lambda sent: _fail(reply, sent))
                    return CommandReply.model_validate_json(await reply, extra="ignore")
            except (TimeoutError, KafkaError, ClientClosedError, ValidationError) as error:
                raise CommandUnansweredError(_why(error, timeout), id_=message.id, source=message.source) from error

    async def _send(self, message: Message, more: Iterable[tuple[str, bytes]] = ()) -> asyncio.Future[object]:
        if self._producer is None or self.closed:
            raise ClientClosedError(self.closed or "The client is not open.")
        try:
            return await self._producer.send(  # type: ignore[no-any-return]  # aiokafka is untyped
                self._kafka.topic(topics.COMMANDS_TOPIC),
                message.value,
                message.key,
                headers=[*message.headers, *more],
            )
        except MessageSizeTooLargeError:
            size = len(message.value or b"")
            raise reject(
                Code.PAYLOAD_TOO_LARGE,
                f"The command has {size} bytes; at most {topics.MAX_COMMAND_BYTES} are allowed. "
                "Pass large data by reference: a file.",
            ) from None

    def _start_failure(self, error: Exception) -> str:
        commands = self._kafka.topic(topics.COMMANDS_TOPIC)
        return (
            f"Kafka at {self._kafka.servers} did not answer, or has no topics {commands} and {self._reply_topic}: "
            f"{error!r}. Check the address, and that the service has been started: it creates its topics."
        )


def _fail(reply: asyncio.Future[bytes], sent: asyncio.Future[object]) -> None:
    if not sent.cancelled() and (error := sent.exception()) and not reply.done():
        reply.set_exception(error)


def _why(error: Exception, timeout: float) -> str:
    match error:
        case TimeoutError():
            return f"No reply came within {timeout:g} s"
        case ValidationError():
            return f"The reply could not be read, perhaps because this client is too old: {error}"
        case _:
            return f"The reply cannot be awaited: {error!r}"
