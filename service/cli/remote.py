"""The HTTP API as the command line calls it. Heavy imports wait until something is really asked."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from service.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from httpx2 import Client, Response

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_KEY: Final = "Idempotency-Key"
_PROBLEM_JSON: Final = "application/problem+json"
_EXITS: Final = {404: Exit.NOT_FOUND, 503: Exit.UNAVAILABLE}


STATS: Final = "/api/v1/task-execution-stats"
FAILURES: Final = "/api/v1/task-execution-failures"
REJECTIONS: Final = "/api/v1/task-command-rejections"
PROJECTION: Final = "/api/v1/projection"


def path_of(*steps: str) -> str:
    """The path of the executions, or of what is below them."""
    return "/".join(["/api/v1/task-executions", *(quote(step, safe="") for step in steps)])


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of the API, the place of the command's event, if it was a command, and when it was given."""

    body: Any
    position: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """The service at `url`. Every call raises CommandError if the service cannot be reached or says no."""

    url: str
    timeout: float = 60.0

    def get(self, path: str, parameters: Mapping[str, object | None] | None = None) -> Answer:
        """Ask a query; parameters that are None are left out."""
        return self._call("GET", path, params=_pairs(parameters or {}))

    @contextmanager
    def stream(
        self, path: str, parameters: Mapping[str, object | None], headers: Mapping[str, str], silence: float
    ) -> Iterator["Response"]:
        """An answer that comes bit by bit, with at most so many seconds in between."""
        with self._reaching(None) as (client, url):
            client.timeout = silence
            with client.stream("GET", url + path, params=_pairs(parameters), headers=headers) as response:
                if not response.is_success:
                    response.read()
                    self._read(response)
                yield response

    def rehearse(self, body: Mapping[str, object | None], key: str | None) -> Answer:
        """What this ExecuteTask would make; fields that are None are left out. Nothing is done."""
        headers = {_KEY: key} if key else {}
        return self._call("POST", path_of(), params={"dryRun": "true"}, json=_given(body), headers=headers)

    def post(self, path: str, body: Mapping[str, object | None], key: str | None) -> Answer:
        """Send a command; fields that are None are left out. Without an idempotency key, it gets a new one."""
        from uuid_utils import uuid7  # noqa: PLC0415 - only what sends commands pays for it

        key = key or str(uuid7())
        return self._call("POST", path, key, json=_given(body), headers={_KEY: key})

    def _call(self, method: str, path: str, key: str | None = None, **arguments: Any) -> Answer:  # noqa: ANN401 - passed on to httpx2
        """`key` is that of a command which may be carried out, whatever is heard of it."""
        with self._reaching(key) as (client, url):
            response = client.request(method, url + path, **arguments)
        return self._read(response)

    @contextmanager
    def _reaching(self, key: str | None) -> Iterator[tuple["Client", str]]:
        import httpx2  # noqa: PLC0415 - only what asks the service pays for it

        try:
            url = httpx2.URL(self.url.rstrip("/"))
            with httpx2.Client(timeout=self.timeout, trust_env=url.host not in _LOOPBACK) as client:
                yield client, str(url)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise CommandError(
                Exit.USAGE, f"{self.url} is not an address: {error}", "--url looks like http://127.0.0.1:8080"
            ) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise CommandError(
                Exit.UNAVAILABLE,
                f"The service is not reachable at {self.url} ({error}). Start it with `taskexec up`, or name another "
                "one with --url, --context or TASKEXEC_URL.",
            ) from None
        except httpx2.TransportError as error:
            raise CommandError(Exit.UNAVAILABLE, *_interrupted(self.url, error, key)) from None

    def _read(self, response: "Response") -> Answer:
        if response.headers.get("content-type") == _PROBLEM_JSON:
            raise _refusal(response.json(), response.headers.get(_KEY))
        try:
            if response.is_success:
                position, date = (response.headers.get(name) for name in ("Task-Execution-Position", "Date"))
                return Answer(response.json(), position, date)
        except json.JSONDecodeError:
            pass
        raise CommandError(
            Exit.UNAVAILABLE,
            f"{self.url} answered {response.status_code} with {response.headers.get('content-type')}: that is not a "
            "task execution service. Check --url, TASKEXEC_URL and the context.",
        )


def _pairs(parameters: Mapping[str, object | None]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, str(value))
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
        if value is not None
    )


def _given(body: Mapping[str, object | None]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


def _interrupted(url: str, error: Exception, key: str | None) -> list[str]:
    lines = [f"The connection to {url} broke before the answer came ({type(error).__name__}: {error})."]
    if key:
        lines.append(f"The command may still be carried out. Repeat it safely with --idempotency-key {key}")
    return lines


def _refusal(problem: Mapping[str, Any], key: str | None) -> CommandError:
    """`key` is there if the command may still be carried out."""
    errors = [(_typed(error["pointer"]), error["detail"]) for error in problem.get("errors", ())]
    is_usage = bool(errors) and all(where.startswith("--") for where, _ in errors)
    return CommandError(
        Exit.USAGE if is_usage else _EXITS.get(problem["status"], Exit.REFUSED),
        f"{problem['title']} ({problem['code']})",
        *([] if is_usage else [problem["detail"]]),
        *(f"{where}: {detail}" for where, detail in errors),
        *([f"Here, that is --idempotency-key {key}"] if key else []),
        problem={**problem, "idempotencyKey": key} if key else problem,
    )


def _typed(pointer: str) -> str:
    """The option that a parameter of the query was typed as; every other place as the service tells it."""
    from service.cli.request_options import option_of  # noqa: PLC0415 - it completes what is typed by asking

    kind, name, *_ = [*pointer.removeprefix("#/").split("/"), ""]
    return option_of(re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)) if kind == "query" else pointer
