"""A ClickHouse server for tests: the engine in process behind ClickHouse's HTTP interface, in a process of its own.

It speaks only what the driver uses: query parameters and settings, inserts in the native format, compression, errors
with their codes, and basic authentication. A transport, not a stand-in: the engine is ClickHouse's own.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.parser import BytesParser
from pathlib import Path
from typing import Any, Final

import chdb
import lz4.frame
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

USER, PASSWORD = "tests", "se cret"

_OPTIONS: Final = {"background_merges_mutations_concurrency_ratio": 8}
"""A server has room for as many merges and mutations as that, the engine in process for four."""

_TRANSPORT: Final = frozenset({
    "client_protocol_version", "database", "enable_http_compression", "http_headers_progress_interval_ms", "query",
    "query_id", "send_progress_in_http_headers", "session_id", "wait_end_of_query",
})  # fmt: skip
"""Parameters that are no settings."""

_INSERT: Final = re.compile(rb"\s*(INSERT\s+INTO\s.+?)\bFORMAT\s+(\w+)[ \t]*(?:\r?\n|$)", re.IGNORECASE | re.DOTALL)
_FORMAT: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_STATUS: Final = {"60": 404, "81": 404, "497": 403}


@contextmanager
def running_server(directory: Path, config: Path | None = None) -> Iterator[str]:
    """The DSN of a server that keeps its data in the directory, without the database; `config` is its configuration."""
    options = {**_OPTIONS, **({"config-file": config} if config else {})}
    path = f"{directory}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
    command = [sys.executable, __file__, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        assert port, "the server did not start"
        try:
            yield f"clickhouse://{USER}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}"
        finally:
            process.terminate()


class Engine:
    """Runs what a request asks for, each on a connection of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept = chdb.connect(self._path)  # the engine lives as long as its first connection
        self.timezone = self._kept.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()

    def run(self, parameters: Mapping[str, str], body: bytes, format_: str) -> tuple[bytes, dict[str, str]]:
        """The result and what is said of it in headers. Raises RuntimeError with ClickHouse's message."""
        connection = chdb.connect(self._path)
        try:
            if database := parameters.get("database"):
                connection.query(f"USE `{database}`")
            settings = [f"{name} = {_quoted(value)}" for name, value in parameters.items() if name not in _TRANSPORT]
            if settings:
                connection.query(f"SET {', '.join(settings)}")
            sql = b"\n".join(part for part in (parameters.get("query", "").encode(), body) if part)
            if insert := _INSERT.match(sql):
                stream = connection.send_insert(insert[1].decode(), insert[2].decode())
                stream.append(sql[insert.end() :])
                return b"", _summary(written_rows=stream.finish().rows_written)
            named = _FORMAT.search(sql)
            result = connection.query(sql.decode(), named[1].decode() if named else format_)
            return result.bytes() or b"", _summary(result_rows=result.rows_read() or 0)
        finally:
            connection.close()


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _summary(**counts: int) -> dict[str, str]:
    return {"X-ClickHouse-Summary": json.dumps({name: str(count) for name, count in counts.items()})}


def create_app(engine: Engine) -> Starlette:
    """The server's one resource."""
    identity = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    async def answer(request: Request) -> Response:
        if request.headers.get("authorization") != identity:
            return _refusal("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", "516", 403)
        parameters, body = dict(request.query_params), await request.body()
        if request.headers.get("content-encoding") == "lz4":
            body = _unpacked(body)
        if (kind := request.headers.get("content-type", "")).startswith("multipart/form-data"):
            parameters, body = parameters | _form(kind, body), b""
        format_ = request.headers.get("x-clickhouse-format", "TabSeparated")
        try:
            result, headers = await run_in_threadpool(engine.run, parameters, body, format_)
        except Exception as error:  # noqa: BLE001 - a server answers whatever happens
            message = str(error)
            code = found[1] if (found := re.search(r"Code: (\d+)", message)) else "1002"
            return _refusal(message[max(message.find("Code:"), 0) :], code, _STATUS.get(code, 500))
        headers["X-ClickHouse-Timezone"] = engine.timezone
        if parameters.get("enable_http_compression") == "1" and "lz4" in request.headers.get("accept-encoding", ""):
            result = lz4.frame.compress(result)
            headers["Content-Encoding"] = "lz4"
        return Response(result, headers=headers)

    return Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])


def _refusal(message: str, code: str, status: int) -> Response:
    return Response(message + "\n", status, {"X-ClickHouse-Exception-Code": code})


def _unpacked(body: bytes) -> bytes:
    """All frames: a client sends one for each block."""
    pieces: list[bytes] = []
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        pieces.append(frame.decompress(body))
        body = frame.unused_data or b""
    return b"".join(pieces)


def _form(kind: str, body: bytes) -> dict[str, str]:
    fields: Any = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body).get_payload()
    named = (
        (field.get_param("name", header="content-disposition"), field.get_payload(decode=True)) for field in fields
    )
    return {name: value.decode() for name, value in named}


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app = create_app(Engine(sys.argv[1]))
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # so that asyncio sends the end of an answer at once
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - tells its parent
    # A client does not repeat a write on a connection that is closed under it, and can't know whether it may.
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_keep_alive=3600)).run([listener])
