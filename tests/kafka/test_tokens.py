"""Tokens of a token endpoint, as RFC 6749 has it, that a test plays."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from service.kafka.security import CredentialsError
from service.kafka.tokens import EndpointTokens, FileTokens

SECRET = "s:ecret ü"  # noqa: S105 - made up


class Endpoint(ThreadingHTTPServer):
    """Answers with `answer`, or else with tokens that live for `life` seconds; `asked` is what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str]] = []
        self.life: float | None = 3600.0
        self.answer: tuple[int, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class Answering(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], form))
        token = {"access_token": f"token-{len(self.server.asked)}", "token_type": "Bearer"}
        if self.server.life is not None:
            token["expires_in"] = self.server.life  # type: ignore[assignment]
        status, body = self.server.answer or (200, token)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n", encoding="utf-8")
    return file


async def test_all_clients_share_a_token_while_it_lives(endpoint: Endpoint, secret: Path) -> None:
    tokens = EndpointTokens(endpoint.url, "taskexec", secret, "kafka write")
    assert {*await asyncio.gather(*(tokens.token() for _ in range(5)))} == {"token-1"}
    ((authorization, form),) = endpoint.asked
    assert authorization == "Basic " + b64encode(f"taskexec:{SECRET}".encode()).decode()
    assert form == "grant_type=client_credentials&scope=kafka+write"


@pytest.mark.parametrize("life", [None, 0, 0.01])
async def test_a_token_that_does_not_live_is_not_used_again(
    endpoint: Endpoint, secret: Path, life: float | None
) -> None:
    endpoint.life = life
    tokens = EndpointTokens(endpoint.url, "taskexec", secret, None)
    assert await tokens.token() == "token-1"
    await asyncio.sleep(0.02)
    await asyncio.to_thread(secret.write_text, "another")
    assert await tokens.token() == "token-2"
    assert endpoint.asked[1] == ("Basic " + b64encode(b"taskexec:another").decode(), "grant_type=client_credentials")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"error": "invalid_client", "error_description": SECRET}), "answered 401 invalid_client"),
        ((500, b"<html>"), "answered 500, but not with a token"),
        ((200, {"token": "x"}), "answered 200, but not with a token"),
        ((200, []), "answered 200, but not with a token"),
        ((200, {"access_token": "x", "expires_in": "soon"}), "answered 200, but not with a token"),
        ((302, {}), "answered 302"),
    ],
)
async def test_no_token_is_an_error_that_says_why_and_no_secret(
    endpoint: Endpoint, secret: Path, answer: tuple[int, Any], said: str
) -> None:
    tokens = EndpointTokens(endpoint.url, "taskexec", secret, None)
    endpoint.answer = answer
    with pytest.raises(CredentialsError, match="no token for Kafka: http") as refused:
        await tokens.token()
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)
    endpoint.answer = None
    assert await tokens.token() == "token-2"


async def test_an_endpoint_that_is_not_there_is_named(secret: Path) -> None:
    tokens = EndpointTokens("http://127.0.0.1:1/token", "taskexec", secret, None)
    with pytest.raises(CredentialsError, match="/token did not answer: ConnectError"):
        await tokens.token()


async def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    tokens = FileTokens(tmp_path / "token")
    for text in ("one", "two"):
        (tmp_path / "token").write_text(text + "\n")
        assert await tokens.token() == text
    (tmp_path / "token").unlink()
    with pytest.raises(CredentialsError, match="token can't be read: No such file"):
        await tokens.token()
