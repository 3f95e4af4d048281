import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from service.api.app import create_app
from service.api.ports import Queries
from service.api.server import http_server
from service.cli.main import app
from service.ports.commands import CommandGateway
from service.ports.definitions import Definitions
from tests.api.scripted import ScriptedCommands, ScriptedDefinitions, ScriptedQueries


@dataclass
class Service:
    """The HTTP API on a free port of loopback, on top of scripted ports."""

    url: str = ""
    commands: ScriptedCommands = field(default_factory=ScriptedCommands)
    queries: ScriptedQueries = field(default_factory=ScriptedQueries)
    definitions: ScriptedDefinitions = field(default_factory=ScriptedDefinitions)

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={"TASKEXEC_URL": self.url})


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    with serving(running.commands, running.queries, running.definitions) as running.url:
        yield running


@contextmanager
def serving(commands: CommandGateway, queries: Queries, definitions: Definitions | None = None) -> Iterator[str]:
    """The address of the HTTP API on top of these, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = http_server(create_app(commands, queries, {}, definitions=definitions), "127.0.0.1", port)
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
