"""What a worker needs of the service, and the service over HTTP."""

import asyncio
from collections.abc import Collection
from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx2
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from service.contracts.commands import FailTaskExecution, HeartbeatTaskExecution, SucceedTaskExecution
from service.contracts.executions import TaskExecution
from service.ports.claims import AwaitTaskExecutions, ClaimTaskExecution

Report = HeartbeatTaskExecution | SucceedTaskExecution | FailTaskExecution

_ACTIONS: Final[dict[type[Report], str]] = {
    HeartbeatTaskExecution: "heartbeat",
    SucceedTaskExecution: "succeed",
    FailTaskExecution: "fail",
}
_PATH: Final = "/api/v1/task-execution"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_ANSWER_SECONDS: Final = 10.0
"""How much longer than it may wait a request may take; a report is sent again then."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_SERVER_ERRORS: Final = 500
_JSON: Final = {"Content-Type": "application/json"}


class UnreachableError(Exception):
    """The service does not answer now. The action it asks for: try again."""


class RefusedError(Exception):
    """The service says no: `code` is the problem's, `detail` says what was wrong. To say the same again is no use."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class Service(Protocol):
    """The task execution service. Whoever implements it owns the connection.

    Raises:
        RefusedError: by every method; it says no.
    """

    async def claim(self, wanted: ClaimTaskExecution) -> TaskExecution | None:
        """An execution to run, or None if there was none in time.

        Raises:
            UnreachableError: there is no answer.
        """
        ...

    async def ended(self, execution_ids: Collection[str], wait: float) -> list[str]:
        """Which of these have ended, as soon as one has, or after so many seconds.

        Raises:
            UnreachableError: there is no answer.
        """
        ...

    async def report(self, report: Report) -> None:
        """Tell how a run goes, again and again until it is answered: whoever calls decides how long.

        Raises:
            ValueError: it cannot be written as JSON.
        """
        ...


class HttpService:
    """`Service` over HTTP, at this URL. A command has one idempotency key, however often it is sent.

    Raises:
        ValueError: this is no URL of a service.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url} is not the address of a service: it looks like http://127.0.0.1:8080")
        trusts_environment = httpx2.URL(url).host not in _LOOPBACK
        self._client = httpx2.AsyncClient(base_url=url.rstrip("/"), headers=_JSON, trust_env=trusts_environment)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def claim(self, wanted: ClaimTaskExecution) -> TaskExecution | None:
        """See `Service`."""
        body = wanted.model_dump_json(exclude_none=True).encode()
        answer = await self._post(f"{_PATH}-claims", body, {}, wanted.wait + _ANSWER_SECONDS)
        # What a later service adds is left alone.
        return None if answer is None else TaskExecution.model_validate(answer, extra="ignore")

    async def ended(self, execution_ids: Collection[str], wait: float) -> list[str]:
        """See `Service`."""
        awaited = AwaitTaskExecutions(execution_ids=tuple(execution_ids), wait=wait)
        answer = await self._post(f"{_PATH}-ends", awaited.model_dump_json().encode(), {}, wait + _ANSWER_SECONDS)
        return [item["id"] for item in answer["items"]]

    async def report(self, report: Report) -> None:
        """See `Service`."""
        given = report.model_dump(exclude_none=True, exclude={"execution_id"})
        body = to_json(given, inf_nan_mode="constants")
        path = f"{_PATH}s/{report.execution_id}/{_ACTIONS[type(report)]}"
        key = {"Idempotency-Key": str(uuid7()), "Prefer": "return=minimal"}
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._post(path, body, key, _ANSWER_SECONDS)
            except UnreachableError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    async def _post(self, path: str, body: bytes, headers: dict[str, str], patience: float) -> Any:  # noqa: ANN401 - JSON is any
        try:
            answer = await self._client.post(path, content=body, headers=headers, timeout=patience)
        except httpx2.TransportError as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from None
        if answer.is_success:
            return answer.json() if answer.content else None
        if answer.status_code >= _SERVER_ERRORS:
            raise UnreachableError(f"it answered {answer.status_code}: {answer.text[:200]}")
        raise _refusal(answer)


def _refusal(answer: httpx2.Response) -> RefusedError:
    try:
        problem = answer.json()
        flaws = [f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", ())]
        return RefusedError(problem["code"], " ".join([problem["detail"], *flaws]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return RefusedError(str(answer.status_code), "this is no answer of a task execution service; check its URL")
