import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.process import TASKEXEC, Up, clean_environment, up

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Client:
    """Asks the service as anybody may."""

    url: str

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx2.post(f"{self.url}/api/v1/{path}", json=body, trust_env=False, timeout=30)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def execute(self, task_id: str, inputs: dict[str, Any], **more: Any) -> str:
        body = {"taskId": task_id, "taskVersion": "1.0.0", "inputs": inputs} | more
        return str(self.post("task-executions", body)["id"])

    def get(self, id_: str, path: str = "") -> dict[str, Any]:
        answer = httpx2.get(f"{self.url}/api/v1/task-executions/{id_}{path}", trust_env=False, timeout=30)
        found: dict[str, Any] = answer.json() if answer.is_success else {"status": "unknown"}
        return found

    def until(self, id_: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        ends = time.monotonic() + seconds
        while (found := self.get(id_))["status"] not in statuses:
            assert time.monotonic() < ends, found
            time.sleep(0.02)
        return found

    def ended(self, id_: str, seconds: float = 60) -> dict[str, Any]:
        return self.until(id_, "SUCCESS", "FAILURE", "STOPPED", "SKIPPED", seconds=seconds)


@dataclass(frozen=True)
class File:
    """What functions have written about their runs."""

    path: Path

    def lines(self, id_: str) -> list[str]:
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(id_)]

    def until(self, id_: str, what: str, seconds: float = 60) -> str:
        ends = time.monotonic() + seconds
        while not (found := [line for line in self.lines(id_) if line.startswith(what)]):
            assert time.monotonic() < ends, (what, self.lines(id_))
            time.sleep(0.02)
        return found[0]


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "runs.txt")


@pytest.fixture(scope="session")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = {"name": "file", "type": "string"}
    seconds = {"name": "seconds", "type": "number", "required": False, "defaultValue": 0}
    attempt = {"name": "attempt", "type": "number"}
    directory = tmp_path_factory.mktemp("definitions")
    paths = []
    for name, inputs, outputs in (
        ("coroutine", [file, seconds], [attempt]), ("thread", [file, seconds], []),
        ("process", [file, seconds], [attempt]), ("progress", [seconds], []),
        ("wrong", [{"name": "how", "type": "string"}], [attempt]), ("die", [], []),
    ):  # fmt: skip
        definition = {
            "taskId": f"run:{name}", "version": "1.0.0", "status": "PUBLISHED", "type": "sql",
            "inputVariables": inputs, "outputVariables": outputs,
        }  # fmt: skip
        path = directory / f"{name}.json"
        path.write_text(json.dumps(definition), encoding="utf-8")
        paths.append(str(path))
    return paths


@contextmanager
def service(directory: Path, definitions: list[str]) -> Iterator[Up]:
    with up(directory) as running:
        published = running.run("definitions", "publish", *definitions)
        assert published.returncode == 0, published.stderr
        yield running


@contextmanager
def worker(url: str, what: str = "tests.worker.program:worker", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`taskexec worker`, which must end well when it is terminated, unless it was killed before."""
    command, variables = [*TASKEXEC, "worker", what, "--url", url], clean_environment() | environment
    with subprocess.Popen(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            said = process.communicate(timeout=40)[1]
            sys.stderr.write(said)
    assert process.returncode in {0, -signal.SIGKILL}, said


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, definitions: list[str]) -> Iterator[Up]:
    with service(tmp_path_factory.mktemp("service"), definitions) as found:
        yield found


@pytest.fixture(scope="module")
def client(running: Up) -> Client:
    return Client(running.url)
