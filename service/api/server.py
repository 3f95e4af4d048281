"""The HTTP server: uvicorn, whose clients may be slow, silent or wrong without harm to others."""

import asyncio
import resource
import sys
from contextlib import nullcontext
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.errors import PROBLEM_JSON
from service.api.guard import MAX_HEAD_BYTES
from service.contracts.problems import Code, Problem, problem

MAX_CONNECTIONS: Final = 4_000
"""How many may be open at once; fewer where the process may not open twice as many files: Kafka needs some, too."""


def max_connections() -> int:
    """How many may be open at once, here and now."""
    return min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


_TOO_LARGE: Final = problem(Code.HEAD_TOO_LARGE, f"The request's head has more than {MAX_HEAD_BYTES} bytes.")
_MALFORMED: Final = problem(
    Code.MALFORMED_REQUEST, "This is not HTTP as RFC 9112 defines it, so the connection ends here."
)
_FULL: Final = problem(Code.UNAVAILABLE, "Too many connections are open. Connect again in a few seconds.")


class Connection(H11Protocol):
    """A connection of which nothing is awaited for ever, and whose every error is an RFC 9457 problem.

    A deadline is for the whole of what is awaited: who sends a byte now and then gains nothing.
    """

    head_seconds = 10.0
    """From when a request may come, until its head is whole."""
    body_seconds = 30.0
    """From then on, until its body is whole."""
    answer_seconds = 60.0
    """How long an answer may lie here that the client does not take."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on to uvicorn
        super().__init__(*args, **kwargs)
        self._awaited: object = None
        self._deadline: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # whatever lies here is waited for: see pause_writing
        if len(self.connections) > max_connections():
            self._refuse(_FULL)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        for timer in (self._deadline, self._untaken):
            if timer:
                timer.cancel()

    def handle_events(self) -> None:
        """Take what has come, and wait for what is missing."""
        super().handle_events()
        self._watch()

    def pause_writing(self) -> None:
        """Wait until the client has taken what was written."""
        super().pause_writing()
        self._untaken = self.loop.call_later(self.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has."""
        super().resume_writing()
        if self._untaken:
            self._untaken.cancel()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Refuse what is not HTTP. uvicorn calls this where it handles the error of h11."""
        too_large = getattr(sys.exception(), "error_status_hint", None) == _TOO_LARGE.status
        self._refuse(_TOO_LARGE if too_large else _MALFORMED)

    def _watch(self) -> None:
        """Set the deadline for what is awaited now: a head, a body, or nothing."""
        awaited = (self.conn.their_state, self.cycle)
        if awaited == self._awaited:
            return
        self._awaited = awaited
        if self._deadline:
            self._deadline.cancel()
        seconds = {h11.IDLE: self.head_seconds, h11.SEND_BODY: self.body_seconds}.get(self.conn.their_state)
        self._deadline = self.loop.call_later(seconds, self._expire, seconds) if seconds else None

    def _expire(self, seconds: float) -> None:
        part = "head" if self.conn.their_state is h11.IDLE else "body"
        if part == "head" and not self.conn.trailing_data[0]:
            self.transport.close()  # nothing was asked
        else:
            self._refuse(problem(Code.REQUEST_TIMEOUT, f"The {part} of the request was not whole after {seconds:g} s."))

    def _refuse(self, answer: Problem) -> None:
        """Answer instead of the app, if nothing was answered yet, and close."""
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and not self.transport.is_closing():
            body = answer.model_dump_json(exclude_none=True).encode()
            headers = [
                *self.server_state.default_headers,
                (b"content-type", PROBLEM_JSON.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=answer.status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def http_server(app: ASGIApp, host: str, port: int, connection: type[Connection] = Connection) -> uvicorn.Server:
    """The server of this app. Signals are its caller's."""
    config = uvicorn.Config(
        app, host=host, port=port, http=connection, ws="none", h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        proxy_headers=False, log_config=None, access_log=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]  # signals cancel our caller
    return server
