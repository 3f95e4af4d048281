"""Workers and several API processes, which come and go: every execution is run once, and none is forgotten."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from service.embedded.ports import free_port
from tests.e2e.process import TASKEXEC, clean_environment, taskexec
from tests.worker.conftest import Client, File, worker


@contextmanager
def role(name: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*TASKEXEC, name], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if "Ready." in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield process
        finally:
            process.terminate()


@dataclass
class Apis:
    """API processes by name; each keeps its port when it is started again."""

    environment: dict[str, str]
    stack: ExitStack
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str) -> str:
        port = self.ports.setdefault(name, free_port("127.0.0.1"))
        variables = self.environment | {"TASKEXEC_HTTP_PORT": str(port)}
        self.processes[name] = self.stack.enter_context(role("api", variables))
        return f"http://127.0.0.1:{port}"

    def stop(self, name: str, number: int) -> None:
        self.processes[name].send_signal(number)
        self.processes[name].wait(timeout=20)


@pytest.fixture(scope="module")
def environment(kafka: str, clickhouse_server: str, definitions: list[str]) -> Iterator[dict[str, str]]:
    """Where a handler and a projector run, for the APIs."""
    found = clean_environment() | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CLICKHOUSE_DSN": f"{clickhouse_server}/default",
        "TASKEXEC_PREFIX": "workers.",
        "TASKEXEC_PARTITIONS": "4",
        "TASKEXEC_PROCESSES": "1",
    }
    with role("handler", found), role("projector", found):
        published = taskexec("definitions", "publish", *definitions, environment=found)
        assert published.returncode == 0, published.stderr
        yield found


@pytest.fixture
def apis(environment: dict[str, str]) -> Iterator[Apis]:
    with ExitStack() as stack:
        yield Apis(environment, stack)


def claims(url: str, outcome: str) -> int:
    """How many claims of this API have ended so."""
    lines = httpx2.get(f"{url}/metrics", trust_env=False).text.splitlines()
    start = f'taskexec_claims_total{{outcome="{outcome}"}} '
    return sum(int(float(line.removeprefix(start))) for line in lines if line.startswith(start))


def test_of_two_apis_each_execution_comes_from_one(apis: Apis, file: File) -> None:
    first, second = apis.start("first"), apis.start("second")
    client = Client(first)
    with worker(first, CONCURRENCY="2"), worker(second, CONCURRENCY="2"):
        ids = [client.execute("run:coroutine", {"file": str(file.path), "seconds": 0.05}) for _ in range(40)]
        assert [client.ended(id_)["status"] for id_ in ids] == ["SUCCESS"] * 40
    begun = Counter(line.split()[0] for line in file.path.read_text("utf-8").splitlines() if line.endswith("began"))
    assert begun == dict.fromkeys(ids, 1)
    accepted, lost = ([claims(url, outcome) for url in (first, second)] for outcome in ("accepted", "lost"))
    assert sum(accepted) >= 40  # what another test has left is begun as well
    assert sum(lost) < 20, "each begins with its own part of what there is"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_go_on_when_their_api_is_started_again(apis: Apis, file: File, number: int) -> None:
    url, other = apis.start("one"), Client(apis.start("other"))
    running: list[str] = []
    with worker(url, CONCURRENCY="4", LEASE="60"):
        long = other.execute("run:coroutine", {"file": str(file.path), "seconds": 4})
        file.until(long, "began")
        running += [_execute(other, file) for _ in range(10)]
        apis.stop("one", number)
        running += [_execute(other, file) for _ in range(10)]
        apis.start("one")
        running += [_execute(other, file) for _ in range(10)]
        ends = [_last_attempt(other, id_) for id_ in (*running, long)]
    assert [end["status"] for end in ends] == ["SUCCESS"] * 31
    begun = Counter(line.split()[0] for line in file.path.read_text("utf-8").splitlines() if line.endswith("began"))
    assert set(begun.values()) == {1}, "no execution is run twice, whatever was lost"
    assert begun.keys() >= {end["id"] for end in ends}


def test_a_worker_that_hears_nothing_ends_its_run_before_another_may_begin(apis: Apis, file: File) -> None:
    url, other = apis.start("one"), Client(apis.start("other"))
    with worker(url, LEASE="15"):
        id_ = other.execute("run:coroutine", {"file": str(file.path), "seconds": 30}, retry={"maxAttempts": 2})
        file.until(id_, "began")
        apis.stop("one", signal.SIGKILL)
        file.until(id_, "cancelled", seconds=30)
        assert other.get(id_)["status"] == "RUNNING", "the lease has not ended yet"
        assert other.ended(id_)["errorMessage"].startswith("worker lost")


def _execute(client: Client, file: File) -> str:
    time.sleep(0.05)
    more: dict[str, Any] = {"retry": {"maxAttempts": 5}}
    return client.execute("run:coroutine", {"file": str(file.path), "seconds": 0.1}, **more)


def _last_attempt(client: Client, id_: str) -> dict[str, Any]:
    found = client.ended(id_, seconds=120)
    return _last_attempt(client, found["retriedBy"]) if "retriedBy" in found else found
