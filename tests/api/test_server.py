"""A real server over a socket, and clients that are wrong, slow or silent."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI

from service.api import server as api_server
from service.api.guard import MAX_HEAD_BYTES
from service.api.server import Connection, http_server
from tests.api.scripted import ID, ScriptedCommands

START = f"POST /api/v1/task-executions/{ID}/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hasty(Connection):
    head_seconds = body_seconds = answer_seconds = 0.3


@pytest.fixture
def kind() -> type[Connection]:
    return Connection


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@pytest_asyncio.fixture(autouse=True)
async def server(
    app: FastAPI, listener: socket.socket, port: int, kind: type[Connection]
) -> AsyncIterator[uvicorn.Server]:
    server = http_server(app, "127.0.0.1", port, kind)
    serving = asyncio.create_task(server.serve([listener]))
    yield server
    server.should_exit = True
    await serving


async def test_no_answer_waits_for_the_client_to_confirm_its_head(port: int, server: uvicorn.Server) -> None:
    async with connected(port) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"alive")
        (connection,) = server.server_state.connections
        assert isinstance(connection, Connection)
        served = connection.transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@asynccontextmanager
async def connected(port: int, **options: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def exchange(port: int, *sent: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    async with connected(port) as (reader, writer):
        writer.write(b"".join(sent))
        return await reader.read()


def problem_of(answer: bytes, status: int, code: str) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().splitlines()
    assert lines[0].startswith(f"http/1.1 {status}"), answer
    assert "content-type: application/problem+json" in lines
    assert "connection: close" in lines
    found: dict[str, Any] = json.loads(body)
    assert (found["status"], found["code"]) == (status, code)
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        f"{START}Transfer-Encoding: gzip\r\n\r\n".encode(),
        f"{START}Transfer-Encoding: chunked, chunked\r\n\r\n".encode(),
        f"{START}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n".encode(),
        GET + b"nonsense\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_answered_as_a_problem(port: int, sent: bytes) -> None:
    answer = await exchange(port, sent)

    problem_of(answer[answer.rindex(b"HTTP/1.1") :], 400, "malformed_request")


async def test_a_head_without_end_is_refused(port: int) -> None:
    answer = await exchange(port, GET[:-2], b"X: " + b"x" * 2 * MAX_HEAD_BYTES)

    problem_of(answer, 431, "head_too_large")


async def test_http_1_0_is_answered(port: int) -> None:
    assert (await exchange(port, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")).endswith(b'{"status":"alive"}')


@pytest.mark.parametrize("kind", [Hasty])
async def test_who_asks_nothing_is_disconnected(port: int) -> None:
    assert await exchange(port) == b""
    assert (await exchange(port, GET)).endswith(b'{"status":"alive"}')


@pytest.mark.parametrize("kind", [Hasty])
@pytest.mark.parametrize(
    ("sent", "part"),
    [
        (b"GET /healthz HT", "head"),
        (GET[:-2], "head"),
        (GET + GET[:-2], "head"),
        (f"{START}Content-Length: 9\r\n\r\n{{".encode(), "body"),
        (f"{START}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n".encode(), "body"),
        (GET + f"{START}Content-Length: 9\r\n\r\n{{".encode(), "body"),
    ],
)
async def test_a_request_that_does_not_come_is_not_awaited_for_ever(
    port: int, commands: ScriptedCommands, sent: bytes, part: str
) -> None:
    answer = await exchange(port, sent)

    found = problem_of(answer[answer.rindex(b"HTTP/1.1") :], 408, "request_timeout")
    assert found["detail"] == f"The {part} of the request was not whole after 0.3 s."
    assert not commands.submitted


@pytest.mark.parametrize("kind", [Hasty])
@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nX: ", f"{START}Content-Length: 1000000\r\n\r\n".encode()])
async def test_a_byte_now_and_then_gains_no_time(port: int, sent: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(sent)
        answer = asyncio.create_task(_all_of(reader))
        while not answer.done():
            writer.write(b"x")
            await asyncio.wait({answer}, timeout=0.02)
    if came := await answer:  # a byte that comes when it is closed resets the connection, and the answer may be lost
        problem_of(came, 408, "request_timeout")


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    came = bytearray()
    with suppress(ConnectionResetError):
        while part := await reader.read(65_536):
            came += part
    return bytes(came)


@pytest.mark.parametrize("kind", [Hasty])
async def test_a_body_that_nobody_wants_is_not_awaited_either(port: int) -> None:
    answer = await exchange(port, b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("kind", [Hasty])
async def test_an_answer_that_is_not_taken_is_thrown_away(server: uvicorn.Server, port: int) -> None:
    async with connected(port, limit=1) as (_, writer):
        writer.write(500 * GET.replace(b"/healthz", b"/openapi.json"))
        while not server.server_state.total_requests:
            await asyncio.sleep(0.01)
        while server.server_state.connections:
            await asyncio.sleep(0.01)
    assert server.server_state.total_requests < 500


async def test_too_many_connections_are_refused_and_others_go_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "MAX_CONNECTIONS", 2)
    async with connected(port), connected(port) as (reader, writer):
        problem_of(await exchange(port), 503, "unavailable")
        writer.write(GET[:-2] + b"Connection: close\r\n\r\n")
        assert (await reader.read()).endswith(b'{"status":"alive"}')
        assert (await exchange(port, b"x\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_half_of_the_files_are_left_for_others(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2, 2))

    async with connected(port):
        problem_of(await exchange(port), 503, "unavailable")
