"""What functions give, and what ends them: one worker runs them all, against the whole service."""

import re
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.process import Up
from tests.worker.conftest import Client, File, worker

WAYS = ("coroutine", "thread", "process")


@pytest.fixture(scope="module")
def one(running: Up) -> Iterator[subprocess.Popen[str]]:
    """A worker for all tests that leave it alone."""
    with worker(running.url, CONCURRENCY="8") as process:
        yield process


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("way", WAYS)
def test_a_function_is_run_once_and_its_outputs_are_the_executions(client: Client, file: File, way: str) -> None:
    id_ = client.execute(f"run:{way}", {"file": str(file.path)})
    found = client.ended(id_)
    assert found["status"] == "SUCCESS"
    assert found.get("outputs") == ({} if way == "thread" else {"attempt": 1})
    assert [line.split()[0] for line in file.lines(id_)] == ["began", "ended"]


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("way", WAYS)
def test_a_stop_is_honoured_soon(client: Client, file: File, way: str) -> None:
    id_ = client.execute(f"run:{way}", {"file": str(file.path), "seconds": 60})
    began = file.until(id_, "began")
    client.until(id_, "RUNNING")
    child = psutil.Process(int(began.split()[1])) if way == "process" else None
    client.post(f"task-executions/{id_}/stop", {})
    stopped = time.monotonic()
    if child:
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()
    else:
        file.until(id_, "cancelled")
    assert time.monotonic() - stopped < 8, "sooner than the next heartbeat would"
    assert client.ended(id_)["status"] == "STOPPED"
    assert "ended" not in file.lines(id_)


@pytest.mark.usefixtures("one")
def test_progress_is_told_now_and_then(client: Client) -> None:
    id_ = client.execute("run:progress", {"seconds": 7})
    assert client.ended(id_)["status"] == "SUCCESS"
    events = [item for item in client.get(id_, "/history")["items"] if item["type"] == "TaskExecutionProgressed"]
    assert 2 <= len(events) <= 6, "ten were told, and what is told comes every two seconds"
    told = [(event["data"]["progress"], event["data"]["message"]) for event in events]
    assert told == sorted(told)
    assert all(message == f"part {round(progress * 10)}" for progress, message in told)


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", r"LookupError: no such\\x00table \\ud800\n\nTraceback .*program\.py"),
        ("outputs", r"The outputs were refused: .*#/outputs/attempt: "),
        ("no object", r"The function returned no object of outputs, but list\."),
        ("no json", r"The outputs cannot be written as JSON: "),
    ],
)
def test_what_goes_wrong_is_how_it_failed(client: Client, how: str, message: str) -> None:
    found = client.ended(client.execute("run:wrong", {"how": how}))
    assert found["status"] == "FAILURE"
    assert re.match(message, found["errorMessage"], re.DOTALL), found["errorMessage"]


@pytest.mark.usefixtures("one")
def test_a_process_that_ends_by_itself_fails_alone(client: Client) -> None:
    found = client.ended(client.execute("run:die", {}))
    assert found["errorMessage"] == "The process ended by itself: exit status 3"
