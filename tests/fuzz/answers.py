"""Sends HTTP requests over plain sockets, and says what is wrong with the answers."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

PROBLEM: Final = "application/problem+json"
PATIENCE_SECONDS: Final = 45.0
"""How long an answer may take: that to a command waits for its reply up to 30 s, and says then that there was none."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TIMES: Final = {"createdAt", "startedAt", "completedAt", "asOf", "time", "timestamp"}
_FOREIGN: Final = {"resolvedInputs", "outputs"}
_BEHIND: Final = 503


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, with what was wrong with its form."""

    status: int
    content_type: str
    body: bytes


def exchange(address: tuple[str, int], request: bytes, *, patience: float = PATIENCE_SECONDS) -> bytes:
    """Send it on a connection of its own; all that comes back until it is closed, or nothing more comes."""
    found = bytearray()
    with socket.create_connection(address, timeout=patience) as connection:
        connection.settimeout(patience)
        with suppress(ConnectionError):  # it may close while we still write: what it has answered counts
            connection.sendall(request)
        with suppress(OSError):
            while part := connection.recv(1 << 16):
                found += part
    return bytes(found)


def answers(method: str, received: bytes) -> Iterator[Answer]:
    """The answers, one after the other.

    Raises:
        ValueError: what was received is not HTTP.
    """
    rest = received
    while rest:
        head, end, rest = rest.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if not end or not (match := re.fullmatch(r"HTTP/1\.[01] (\d{3}) .*", status)):
            raise ValueError(f"no HTTP answer: {head[:200]!r}")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, rest = (b"", rest) if method == "HEAD" or match[1][0] == "1" else _body(headers, rest)
        if match[1][0] != "1":
            yield Answer(int(match[1]), headers.get("content-type", ""), body)


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding") != "chunked":
        length = int(headers.get("content-length", len(rest)))
        return rest[:length], rest[length:]
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest


def flaw_of(answer: Answer, codes: set[str]) -> str | None:
    """What is wrong with an answer by the rules for all of them, or None; `codes` are the documented ones."""
    if answer.status < 300:
        body = _json(answer) if answer.content_type == "application/json" else None
        return f"time form {found}" if (found := odd_time(body)) else None
    if answer.status >= 500 and answer.status != _BEHIND:
        return f"status {answer.status}"
    if answer.content_type != PROBLEM:
        return f"{answer.status} is {answer.content_type or 'of no type'}, not {PROBLEM}"
    problem = _json(answer)
    if not isinstance(problem, dict):  # a HEAD's has no body
        return None if not answer.body else "the problem is no object"
    if problem.get("code") not in codes or problem.get("status") != answer.status:
        return f"{answer.status} with the code {problem.get('code')!r} and the status {problem.get('status')!r}"
    return None


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.body else None
    except ValueError:
        return f"not JSON: {answer.body[:100]!r}"


def odd_time(body: object) -> str | None:
    """The first time of ours in the JSON that has not the one form; what clients sent is theirs."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in _TIMES and isinstance(value, str) and not _TIME.fullmatch(value):
                return f"{name}: {value}"
            if name not in _FOREIGN and (found := odd_time(value)):
                return found
    if isinstance(body, list):
        return next((found for item in body if (found := odd_time(item))), None)
    return None


def hold_open(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Connections that never say anything, or never finish what they say; the caller closes them."""
    heads = (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    held = []
    for number in range(count):
        connection = socket.create_connection(address, timeout=10)
        connection.sendall(heads[number % len(heads)])
        held.append(connection)
    return held


def timed(address: tuple[str, int], method: str, request: bytes, patience: float) -> tuple[list[Answer], float]:
    """The answers to a request, and how long they took."""
    began = time.monotonic()
    received = exchange(address, request, patience=patience)
    return list(answers(method, received)), time.monotonic() - began
