"""The service over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from service.client.errors import NotFoundError, ServiceUnavailableError, refusal
from service.client.messages import command_body
from service.client.retrying import persistently
from service.client.transport import Events, Known, Parameters
from service.contracts.commands import Command, ExecuteTask, HeartbeatTaskExecution
from service.contracts.envelope import CONTENT_TYPE, JSON
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, Problem, problem
from service.contracts.replies import CommandReply, Outcome, Position
from service.queries.answers import TaskExecutionHistory

EXECUTIONS: Final = "task-executions"
STATS: Final = "task-execution-stats"

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_POSITION: Final = "Task-Execution-Position"
_REPLAYED: Final = "Idempotent-Replayed"
_PROBLEM_JSON: Final = "application/problem+json"
_OUTAGE_SECONDS: Final = 60.0
_FIRST_POLL: Final = 0.2
_LONGEST_POLL: Final = 2.0

Model = TypeVar("Model", bound=BaseModel)


class HttpTransport:
    """The API at `url`; `headers` go with every request, such as an `Authorization` for a proxy in front.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        try:
            address = httpx2.URL(self._url)
        except httpx2.InvalidURL:
            address = httpx2.URL()
        if address.scheme not in {"http", "https"} or not address.host:
            raise ValueError(f"{url!r} is not an address of the API; give one such as http://127.0.0.1:8080")
        self._http = httpx2.AsyncClient(
            base_url=f"{self._url}/api/v1/", headers=headers, timeout=None, trust_env=address.host not in _LOOPBACK
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

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
        response = await self._answer("POST", path, seconds, content=content, headers=headers)
        return CommandReply(
            outcome=Outcome.DUPLICATE if _REPLAYED in response.headers else Outcome.ACCEPTED,
            task_execution=read(TaskExecution, response.content),
            position=_position(response.headers.get(_POSITION)),
        )

    async def ask(self, path: str, parameters: Parameters, seconds: float) -> bytes:
        """See `Transport`."""
        return (await self._answer("GET", path, seconds, params=parameters)).content

    async def history(self, execution_id: str, known: Known | None) -> TaskExecutionHistory:
        """All that has happened to the execution, at least until what is known of it.

        Raises:
            ServiceUnavailableError: the API did not answer for a minute.
        """
        parameters = {"minPosition": str(known.position)} if known else {}
        path = f"{EXECUTIONS}/{quote(execution_id, safe='')}/history"
        answer = await persistently(lambda seconds: self.ask(path, parameters, seconds), _OUTAGE_SECONDS)
        return read(TaskExecutionHistory, answer)

    async def events(self, execution_id: str, known: Known | None) -> Events:
        """See `Transport`. Asks again and again, less often while nothing happens."""
        seen, wait = 0, _FIRST_POLL
        while True:
            items = (await self.history(execution_id, known)).items
            for item in items[seen:]:
                yield item
            wait = _FIRST_POLL if len(items) > seen else min(2 * wait, _LONGEST_POLL)
            seen = len(items)
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def events_to_come(self, id_: str) -> AsyncIterator[Callable[[str, Known, bool], Events]]:  # noqa: ARG002 - see there
        """See `Transport`. What has happened can be asked for later, too."""
        yield lambda execution_id, known, _: self.events(execution_id, known)

    async def _answer(self, method: str, path: str, seconds: float, **request: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.request(method, path, **request)
        except TimeoutError:
            raise _unavailable(f"{self._url} did not answer within {seconds:.3g} s.") from None
        except httpx2.TransportError as error:
            raise _unavailable(f"{self._url} can't be reached ({type(error).__name__}: {error}).") from error
        kind = response.headers.get("content-type", "nothing").partition(";")[0]
        if kind == _PROBLEM_JSON:
            raise refusal(read(Problem, response.content))
        if response.is_success and kind == JSON:
            return response
        said = f"{self._url} answered {response.status_code} with {kind}"
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:  # of what stands between us
            raise _unavailable(f"{said}.")
        raise NotFoundError(
            problem(Code.NOT_FOUND, f"{said}: that is not a task execution service. Check the address.")
        )


def read(model: type[Model], body: bytes) -> Model:
    """The answer, without what only a newer service knows.

    Raises:
        ServiceUnavailableError: it cannot be read.
    """
    try:
        return model.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        detail = f"The answer could not be read, perhaps because this client is too old: {error}"
        raise ServiceUnavailableError(problem(Code.INTERNAL_ERROR, detail)) from error


def _unavailable(detail: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(problem(Code.UNAVAILABLE, f"{detail} Check the address, and try again."))


def _position(text: str | None) -> Position | None:
    if text is None:
        return None
    partition, _, offset = text.partition(":")
    return Position(partition=int(partition), offset=int(offset))
