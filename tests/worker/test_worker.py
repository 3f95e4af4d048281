"""`taskexec worker` against the whole service: workers come and go, and each execution is run once."""

import signal
import time

import psutil
import pytest

from tests.e2e.process import Up
from tests.worker.conftest import Client, File, worker

WAYS = ("coroutine", "thread", "process")


def test_what_was_there_before_the_worker_is_run_the_oldest_first(running: Up, client: Client, file: File) -> None:
    ids = [client.execute("run:coroutine", {"file": str(file.path)}) for _ in range(5)]
    with worker(running.url, CONCURRENCY="1"):
        assert [client.ended(id_)["status"] for id_ in ids] == ["SUCCESS"] * 5
    begun = [line.split()[0] for line in file.path.read_text("utf-8").splitlines() if line.endswith("began")]
    assert begun == ids


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_worker_is_lost_once_and_another_goes_on(running: Up, client: Client, file: File, way: str) -> None:
    retry = {"maxAttempts": 2}
    with worker(running.url, LEASE="5") as killed:
        id_ = client.execute(f"run:{way}", {"file": str(file.path), "seconds": 4}, retry=retry)
        began = file.until(id_, "began")
        killed.kill()
        if way == "process":
            child = psutil.Process(int(began.split()[1]))
            psutil.wait_procs([child], timeout=30)
            assert not child.is_running(), "nobody would know what it does"
    with worker(running.url):
        lost = client.ended(id_)
        assert (lost["status"], lost["errorMessage"][:11]) == ("FAILURE", "worker lost")
        assert client.ended(lost["retriedBy"])["status"] == "SUCCESS"
    assert [line.split()[0] for line in file.lines(id_)] == ["began"]
    assert [line.split()[0] for line in file.lines(lost["retriedBy"])] == ["began", "ended"]
    ends = [item["type"] for item in client.get(id_, "/history")["items"]]
    assert ends == ["TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionFailed"]


def test_at_sigterm_runs_end_and_nothing_new_begins(running: Up, client: Client, file: File) -> None:
    with worker(running.url, CONCURRENCY="3") as process:
        ids = [client.execute("run:coroutine", {"file": str(file.path), "seconds": 4}) for _ in range(2)]
        for id_ in ids:
            file.until(id_, "began")
        process.terminate()
        assert process.stderr
        assert any("worker_draining" in line for line in process.stderr), "it has withdrawn its claim by then"
        late = client.execute("run:coroutine", {"file": str(file.path)})
        assert process.wait(timeout=30) == 0
        assert [client.ended(id_)["status"] for id_ in ids] == ["SUCCESS"] * 2
        assert client.get(late)["status"] == "PENDING"
    with worker(running.url):
        assert client.ended(late)["status"] == "SUCCESS"


def test_an_idle_worker_ends_at_once(running: Up) -> None:
    with worker(running.url) as process:
        assert process.stderr
        assert any("worker_started" in line for line in process.stderr)
        time.sleep(0.5)
        began = time.monotonic()
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - began < 10, "a claim waits for twenty seconds"


def test_what_takes_longer_than_the_worker_may_fails_when_it_ends(running: Up, client: Client, file: File) -> None:
    with worker(running.url, DRAIN="0.5") as process:
        ids = [client.execute(f"run:{way}", {"file": str(file.path), "seconds": 60}) for way in WAYS]
        for id_ in ids:
            file.until(id_, "began")
        process.terminate()
        assert process.wait(timeout=60) == 0
        assert [client.ended(id_)["errorMessage"] for id_ in ids] == ["worker stopped"] * 3
        assert not any("ended" in file.lines(id_) for id_ in ids)


def test_told_twice_it_does_not_wait(running: Up, client: Client, file: File) -> None:
    with worker(running.url) as process:
        id_ = client.execute("run:coroutine", {"file": str(file.path), "seconds": 60})
        file.until(id_, "began")
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert process.wait(timeout=15) == 0
        assert client.ended(id_)["errorMessage"] == "worker stopped"
