import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app

EXECUTE = ("execute", "a:b", "1.0.0")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


class Stranger(BaseHTTPRequestHandler):
    """Something else that speaks HTTP; it hangs up on POST."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>")

    def do_POST(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_that_is_not_there_is_one_line_that_says_how_to_start_it() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = run("stats", "--url", url)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert f"not reachable at {url}" in result.stderr
    assert "taskexec up" in result.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "nonsense"])
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    result = run("stats", "--url", url)

    assert result.exit_code == 2
    assert f"{url} is not an address" in result.stderr


def test_something_else_at_the_url_is_recognized(stranger: str) -> None:
    result = run("stats", "--url", stranger)

    assert result.exit_code == 3
    assert "answered 200 with text/html: that is not a task execution service" in result.stderr


def test_a_broken_connection_leaves_the_key_to_repeat_the_command_with(stranger: str) -> None:
    result = run(*EXECUTE, "--url", stranger, "--idempotency-key", "k1")

    assert result.exit_code == 3
    assert "may still be carried out. Repeat it safely with --idempotency-key k1" in result.stderr
