"""The service over Kafka; its queries are asked over HTTP."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta
from typing import Final, Self

from service.client.commands import CommandClient
from service.client.errors import refusal
from service.client.following import Follower
from service.client.over_http import HttpTransport
from service.client.replies import ClientClosedError
from service.client.transport import Events, Known, Parameters
from service.contracts.commands import Command
from service.contracts.problems import RejectedError
from service.contracts.replies import CommandReply
from service.contracts.timestamps import Timestamp
from service.contracts.topics import Topic
from service.domain.identity import command_id
from service.kafka.connection import Kafka
from service.kafka.reply_topics import ensure_reply_topic

_NO_QUERIES: Final = (
    "Queries are answered by the API, whose address this client was not given: "
    "TaskExecutions.over_kafka(…, url='http://…:8080')."
)
_RECENT: Final = timedelta(minutes=1)
_NOT_OPEN: Final = "The client is not open: use it as `async with TaskExecutions.over_kafka(…) as client`."


class KafkaTransport:
    """Commands and their replies over Kafka; `replies` is the topic for the latter, made if it is missing.

    Where we may not make topics, the service's own is used, which has the replies to all programs. `api` answers what
    Kafka cannot.
    """

    def __init__(self, kafka: Kafka, source: str, replies: Topic | None, api: HttpTransport | None) -> None:
        self._kafka, self._source, self._replies, self._api = kafka, source, replies, api
        self._follower = Follower(kafka)
        self._commands: CommandClient | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ConnectionError: Kafka does not answer or refuses us, or the service's topics are not there.
        """
        async with AsyncExitStack() as stack:
            if self._api:
                await stack.enter_async_context(self._api)
            own = self._replies
            name = own.name if own and await ensure_reply_topic(self._kafka, own) else None
            client = CommandClient(self._kafka, self._source, replies=name)
            self._commands = await stack.enter_async_context(client)
            stack.push_async_callback(self._follower.close)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    async def submit(self, command: Command, id_: str, trace: Mapping[str, str], seconds: float) -> CommandReply:
        """See `Transport`."""
        if self._commands is None:
            raise ClientClosedError(_NOT_OPEN)
        headers = [(name, text.encode()) for name, text in trace.items()]
        try:
            reply = await self._commands.submit(command, id_=id_, trace=headers, timeout=seconds)
        except ClientClosedError:
            raise
        except RejectedError as error:  # too large to be sent
            raise refusal(error.problem) from None
        if reply.problem is not None:
            raise refusal(reply.problem)
        return reply

    async def ask(self, path: str, parameters: Parameters, seconds: float) -> bytes:
        """See `Transport`."""
        if self._api is None:
            raise ValueError(_NO_QUERIES)
        return await self._api.ask(path, parameters, seconds)

    async def events(self, execution_id: str, known: Known | None) -> Events:
        """See `Transport`. Of an old execution, the API tells what has been: the topic would take long to read."""
        if self._api is None and known is None:
            raise ValueError(f"This client has sent no command to {execution_id}. {_NO_QUERIES}")
        async with self._follower.following(execution_id) as published:
            since = known and known.created_at
            if self._api is not None and (since is None or Timestamp.now(UTC) - since > _RECENT):
                items = (await self._api.history(execution_id, known and known.position)).items
                for item in items:
                    yield item
                since = items[-1].time
            if since is not None:
                await self._follower.go_back(execution_id, since)
            async for event in published:
                yield event

    @asynccontextmanager
    async def events_to_come(self, id_: str) -> AsyncIterator[Callable[[str, Known, bool], Events]]:
        """See `Transport`."""
        async with self._follower.following(command_id(self._source, id_)) as published:

            async def events(execution_id: str, known: Known, is_duplicate: bool) -> Events:  # noqa: FBT001 - see there
                if is_duplicate:
                    await self._follower.go_back(execution_id, known.created_at)
                async for event in published:
                    yield event

            yield events
