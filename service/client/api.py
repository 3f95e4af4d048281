"""The HTTP API as the client reaches it: requests, and errors that say what to do."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from service.client.errors import NotFoundError, ServiceUnavailableError, refusal
from service.contracts.envelope import JSON
from service.contracts.problems import Code, Problem, RejectedError, problem

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PROBLEM_JSON: Final = "application/problem+json"
_STREAM: Final = "text/event-stream"
_CONNECTIONS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
"""Each stream has a connection of its own: however many there are, no command waits for one."""

Model = TypeVar("Model", bound=BaseModel)


class Api:
    """The API at `url`; `headers` go with every request.

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
            base_url=f"{self._url}/api/v1/",
            headers=headers,
            timeout=None,
            limits=_CONNECTIONS,
            trust_env=address.host not in _LOOPBACK,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def answer(self, method: str, path: str, seconds: float, **request: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        """The JSON answer, within so many seconds.

        Raises:
            ServiceUnavailableError: there is none.
            RejectedError: it is a problem, or not that of a task execution service.
        """
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.request(method, path, **request)
        except TimeoutError:
            raise _unavailable(f"{self._url} did not answer within {seconds:.3g} s.") from None
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_success and _kind(response) == JSON:
            return response
        raise self._refusal(response)

    async def messages(
        self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str], silence: float
    ) -> AsyncGenerator[httpx2.ServerSentEvent, None]:
        """What one connection to a stream of server-sent events brings; at its end, it raises.

        Raises:
            ServiceUnavailableError: the connection is broken, or silent for so many seconds; or the service ended it.
            NotFoundError: the service is too old to have this stream.
            RejectedError: as of `answer`.
        """
        try:
            request = self._http.stream("GET", path, params=parameters, headers=headers, timeout=silence)
            async with request as response:
                if not response.is_success or _kind(response) != _STREAM:
                    await response.aread()
                    raise self._streamless(path, response)
                async for message in httpx2.EventSource(response, max_event_size=None):
                    yield message
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        raise _unavailable(f"{self._url} has ended the stream.")

    def _streamless(self, path: str, response: httpx2.Response) -> RejectedError:
        error = self._refusal(response)
        if isinstance(error, NotFoundError) and _kind(response) == _PROBLEM_JSON:
            detail = f"{self._url} has no {path}: it is older than this client. Upgrade the service."
            return NotFoundError(problem(Code.NOT_FOUND, detail))
        return error

    def _unreachable(self, error: httpx2.TransportError) -> ServiceUnavailableError:
        return _unavailable(f"{self._url} can't be reached ({type(error).__name__}: {error}).")

    def _refusal(self, response: httpx2.Response) -> RejectedError:
        """What an answer says that is not what was asked for."""
        if _kind(response) == _PROBLEM_JSON:
            return refusal(read(Problem, response.content))
        said = f"{self._url} answered {response.status_code} with {_kind(response)}"
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:  # of what stands between us
            return _unavailable(f"{said}.")
        return NotFoundError(
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


def _kind(response: httpx2.Response) -> str:
    return response.headers.get("content-type", "nothing").partition(";")[0]


def _unavailable(detail: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(problem(Code.UNAVAILABLE, f"{detail} Check the address, and try again."))
