"""The embedded mode, as a newcomer meets it: `demo` and `up`."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.e2e.process import FREE_PORTS, Up, taskexec, up
from tests.recorded import FILES, below, places, tasks_in

DEFINITION = {
    "taskId": "demo:hello", "version": "1.0.0", "status": "PUBLISHED", "type": "pyspark_operator",
    "inputVariables": [{"name": "n", "type": "number", "validation": {"minValue": 1}}],
    "outputVariables": [{"name": "sum", "type": "number"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Up]:
    with up(data_dir) as running:
        file = data_dir.parent / "hello.json"
        file.write_text(json.dumps(DEFINITION), encoding="utf-8")
        assert running.run("definitions", "publish", str(file)).returncode == 0
        yield running


def answer(service: Up, *arguments: str) -> dict[str, Any]:
    ran = service.run(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def execute(service: Up, *options: str) -> str:
    return str(answer(service, "execute", "demo:hello", "1.0.0", "--input", "n=3", *options)["id"])


def test_the_demo_ends_by_itself_and_its_numbers_add_up() -> None:
    ran = taskexec("demo", "--executions", "60", "--exit", "--json", *FREE_PORTS)
    assert ran.returncode == 0, ran.stderr
    numbers = json.loads(ran.stdout)
    statuses = [numbers[name] for name in ("pending", "running", "success", "failure", "stopped", "skipped")]
    assert numbers["total"] == sum(statuses) == 60
    assert all(statuses)
    assert numbers["rejected"] > 0
    assert numbers["duplicates"] > 0


@pytest.mark.skipif(not FILES, reason="no recordings in ../shared/data/wfinstances")
def test_a_play_ends_by_itself_and_says_who_was_skipped() -> None:
    file = FILES[0]
    tasks = tasks_in(file)
    fails = places(tasks)["middle"]
    ran = taskexec("play", str(file), "--fail", fails, "--exit", "--json", *FREE_PORTS)
    assert ran.returncode == 0, ran.stderr
    skipped = sorted(below(tasks, fails))
    counts = {"total": len(tasks), "success": len(tasks) - 1 - len(skipped), "failure": 1}
    assert json.loads(ran.stdout) == counts | {"skipped": skipped}


def test_a_command_and_its_query_agree_at_once(service: Up) -> None:
    id_ = execute(service, "--tag", "nightly", "--created-by", "maria")
    stopped = answer(service, "stop", id_, "--reason", "enough")
    assert stopped["status"] == "STOPPED"
    assert answer(service, "get", id_)["status"] == "STOPPED"
    assert answer(service, "list", "--created-by", "maria")["total"] == 1
    history = answer(service, "history", id_)
    assert [item["type"] for item in history["items"]] == ["TaskExecutionCreated", "TaskExecutionStopped"]
    stats = answer(service, "stats", "--task", "demo:hello")
    assert stats["total"] == sum(
        stats[name] for name in ("pending", "running", "success", "failure", "stopped", "skipped")
    )


def test_it_answers_to_no_name_but_its_own(service: Up) -> None:
    hosts = ("localhost", "127.0.0.1", "evil.com", "10.0.0.1")
    answers = [httpx2.get(f"{service.url}/healthz", headers={"Host": host}, trust_env=False) for host in hosts]
    assert [answer.status_code for answer in answers] == [200, 200, 421, 421]


def test_a_refusal_names_every_flaw(service: Up) -> None:
    ran = service.run("execute", "demo:hello", "1.0.0", "--input", "n=0", "--input", "m=1")
    assert ran.returncode == 1
    assert "#/inputs/n" in ran.stderr
    assert "#/inputs/m" in ran.stderr


@pytest.mark.usefixtures("service")
def test_a_directory_in_use_is_refused(data_dir: Path) -> None:
    ran = taskexec("up", "--data-dir", str(data_dir), *FREE_PORTS)
    assert ran.returncode == 3
    assert f"{data_dir} is in use by another process" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = taskexec("up", "--data-dir", str(tmp_path / "a"), "--kafka-port", port, "--http-port", "0")
        assert ran.returncode == 3
        assert port in ran.stderr
        assert "--kafka-port" in ran.stderr
        ran = taskexec("up", "--data-dir", str(tmp_path / "b"), "--kafka-port", "0", "--http-port", port)
        assert ran.returncode == 3
        assert "--http-port" in ran.stderr


def test_a_mistyped_variable_does_not_pass_silently() -> None:
    ran = taskexec("handler", environment={"TASKEXEC_PARTITION": "4"})
    assert ran.returncode == 2
    assert "TASKEXEC_PARTITION" in ran.stderr


def test_the_api_stays_on_loopback_unless_told() -> None:
    ran = taskexec("api", environment={"TASKEXEC_HTTP_HOST": "0.0.0.0"})  # noqa: S104 - it is refused
    assert ran.returncode == 2
    assert "TASKEXEC_TRUST_NETWORK" in ran.stderr


def test_everything_is_found_again_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(DEFINITION), encoding="utf-8")
    with up(tmp_path / "data") as first:
        assert first.run("definitions", "publish", str(file)).returncode == 0
        id_ = execute(first, "--idempotency-key", "once")
        answer(first, "start", id_, "--spark-application-id", "app-1")
        (broker,) = psutil.Process(first.process.pid).children()
        first.process.kill()
        psutil.wait_procs([broker], timeout=10)
        assert not broker.is_running()
    with up(tmp_path / "data") as second:
        found = answer(second, "get", id_)
        assert found["status"] == "RUNNING"
        assert execute(second, "--idempotency-key", "once") == id_
        assert answer(second, "succeed", id_, "--output", "sum=6")["outputs"] == {"sum": 6}
        assert answer(second, "stats")["total"] == 1
