"""The service over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Final, Self
from urllib.parse import quote

from pydantic import BeforeValidator

from service.client.api import Api, read
from service.client.errors import InvalidRequestError, ServiceUnavailableError
from service.client.messages import command_body
from service.client.retrying import passes, persistently
from service.client.transport import Events, Known, Parameters
from service.contracts.commands import Command, ExecuteTask, HeartbeatTaskExecution
from service.contracts.envelope import CONTENT_TYPE, JSON
from service.contracts.executions import TaskExecution
from service.contracts.replies import CommandReply, Outcome, Position
from service.kafka.streamed import SILENCE_SECONDS, StreamPlace, untold_before
from service.queries.answers import RecordedEvent, TaskExecutionHistory

EXECUTIONS: Final = "task-executions"
STATS: Final = "task-execution-stats"

_POSITION: Final = "Task-Execution-Position"
_REPLAYED: Final = "Idempotent-Replayed"
_OUTAGE_SECONDS: Final = 60.0
_NEVER: Final = float("inf")


class HttpTransport:
    """The API at `url`; `headers` go with every request, such as an `Authorization` for a proxy in front.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._api = Api(url, headers)

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._api.__aexit__(*error)

    async def submit(self, command: Command, id_: str, trace: Mapping[str, str], seconds: float) -> CommandReply:
        """See `Transport`. The source of the command is the API's."""
        path, without = EXECUTIONS, list[str]()
        if not isinstance(command, ExecuteTask):
            action = type(command).__name__.removesuffix("TaskExecution").lower()
            path, without = f"{EXECUTIONS}/{command.execution_id}/{action}", ["execution_id"]
        headers = {"Idempotency-Key": id_, CONTENT_TYPE: JSON, **trace}
        if isinstance(command, HeartbeatTaskExecution):  # one comes every few seconds, of every run
            headers["Prefer"] = "return=minimal"
        content = command_body(command, without=without)
        response = await self._api.answer("POST", path, seconds, content=content, headers=headers)
        position = response.headers.get(_POSITION)
        return CommandReply(
            outcome=Outcome.DUPLICATE if _REPLAYED in response.headers else Outcome.ACCEPTED,
            task_execution=read(TaskExecution, response.content),
            position=None if position is None else Position.parse(position),
        )

    async def ask(self, path: str, parameters: Parameters, seconds: float) -> bytes:
        """See `Transport`."""
        return (await self._api.answer("GET", path, seconds, params=parameters)).content

    async def history(self, execution_id: str, until: Position | None) -> TaskExecutionHistory:
        """All that has happened to the execution, at least until this place.

        Raises:
            ServiceUnavailableError: the API did not answer for a minute.
        """
        parameters = {"minPosition": str(until)} if until else {}
        path = f"{EXECUTIONS}/{quote(execution_id, safe='')}/history"
        answer = await persistently(lambda seconds: self.ask(path, parameters, seconds), _OUTAGE_SECONDS)
        return read(TaskExecutionHistory, answer)

    async def events(self, execution_id: str, known: Known | None) -> Events:
        """See `Transport`. The history has what was before the stream began.

        Raises:
            NotFoundError: there is no such execution; or the API is older than the stream.
        """
        clock = asyncio.get_running_loop().time
        place, lost_at = StreamPlace(), _NEVER
        parameters = {"executionId": execution_id, "payloads": "true"}
        while True:
            stream = self._api.messages(f"{EXECUTIONS}/events", parameters, place.headers, SILENCE_SECONDS)
            try:
                async with aclosing(stream) as messages:
                    async for message in messages:
                        if message.id and place.last_event_id is None:
                            until = _later(known and known.position, untold_before(message.id, execution_id))
                            for item in (await self.history(execution_id, until)).items:
                                yield item
                        if message.data:
                            yield read(_StreamedEvent, message.data.encode())
                        place.take(message)
                        lost_at = _NEVER
            except InvalidRequestError:
                if place.last_event_id is None:
                    raise
                place = StreamPlace()  # Kafka has it no more: the history tells what was missed
            except ServiceUnavailableError as error:
                lost_at = min(lost_at, clock())
                if not passes(error) or clock() - lost_at > _OUTAGE_SECONDS:
                    raise
            await asyncio.sleep(place.pause)

    @asynccontextmanager
    async def events_to_come(self, id_: str) -> AsyncIterator[Callable[[str, Known, bool], Events]]:  # noqa: ARG002 - see there
        """See `Transport`. What has happened can be asked for later, too."""
        yield lambda execution_id, known, _: self.events(execution_id, known)


class _StreamedEvent(RecordedEvent):
    """The stream has places as texts."""

    position: Annotated[Position, BeforeValidator(Position.parse)]


def _later(known: Position | None, place: tuple[int, int] | None) -> Position | None:
    """The later one of two places in one partition."""
    if known and (place is None or known.offset > place[1]):
        return known
    return place and Position(partition=place[0], offset=place[1])
