from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Thread

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from service.api.app import create_app
from service.cli.main import app
from tests.api.scripted import ScriptedCommands, ScriptedQueries


@dataclass
class Service:
    """The HTTP API on a free port of loopback, on top of scripted ports."""

    url: str = ""
    commands: ScriptedCommands = field(default_factory=ScriptedCommands)
    queries: ScriptedQueries = field(default_factory=ScriptedQueries)

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={"TASKEXEC_URL": self.url})


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    config = uvicorn.Config(
        create_app(running.commands, running.queries, {}), port=0, log_config=None, lifespan="off", ws="none"
    )
    socket = config.bind_socket()
    socket.listen()  # else a test could be faster than the thread
    running.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([socket],))
    thread.start()
    yield running
    server.should_exit = True
    thread.join()
    socket.close()
