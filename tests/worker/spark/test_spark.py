"""Real Spark applications, submitted by a worker for the whole service: what they give, and what ends them."""

import json
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.process import Up
from tests.worker.conftest import Client, worker

PROGRAM = "tests.worker.spark.program:worker"
EXAMPLE = Path(__file__).parents[3] / "examples/spark/word_count.yaml"
SECONDS = 180.0
"""So long an application may take on a machine that is busy with others."""


@pytest.fixture(scope="module")
def defined(running: Up, tmp_path_factory: pytest.TempPathFactory) -> Up:
    """The service, which knows the tasks of the program."""
    directory = tmp_path_factory.mktemp("definitions")
    for name, type_, inputs, outputs in (
        ("wrong", "pyspark_operator", {"how": "string"}, {"rows": "number"}),
        ("endless", "pyspark_operator", {"directory": "string"}, {}),
        ("quick", "pyspark_operator", {"seconds": "number"}, {}),
        ("table", "sql", {"seconds": "number"}, {}),
    ):
        definition = {
            "taskId": f"spark:{name}", "version": "1.0.0", "status": "PUBLISHED", "type": type_,
            "inputVariables": [{"name": name, "type": kind} for name, kind in inputs.items()],
            "outputVariables": [{"name": name, "type": kind} for name, kind in outputs.items()],
        }  # fmt: skip
        (directory / f"{name}.json").write_text(json.dumps(definition), encoding="utf-8")
    published = running.run("definitions", "publish", str(EXAMPLE), *map(str, directory.iterdir()))
    assert published.returncode == 0, published.stderr
    return running


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def ended(
    defined: Up, client: Client, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Runs that end by themselves: all at once, as each of them waits more than it works."""
    temporary = tmp_path_factory.mktemp("temporary")
    with worker(defined.url, PROGRAM, LOGS=str(logs), TMPDIR=str(temporary)):
        ids = {how: client.execute("spark:wrong", {"how": how}) for how in ("raise", "outputs")}
        ids["words"] = client.execute("text:word_count", {"text": "the cat and the dog and The bird"})
        ids["quick"] = client.execute("spark:quick", {"seconds": 0})
        ids |= {f"table {seconds}": client.execute("spark:table", {"seconds": seconds}) for seconds in (0, 3_600)}
        found = {name: client.ended(id_, SECONDS) for name, id_ in ids.items()}
    assert not list(temporary.iterdir()), "what runs leave is removed"
    return found


def test_the_outputs_are_what_spark_computed(ended: dict[str, dict[str, Any]]) -> None:
    assert ended["words"]["status"] == "SUCCESS", ended["words"]
    assert ended["words"]["outputs"] == {"words": 8, "counts": {"the": 3, "and": 2, "cat": 1, "dog": 1, "bird": 1}}


def test_the_record_has_the_application_s_id_from_when_it_is_known(
    ended: dict[str, dict[str, Any]], client: Client
) -> None:
    application = ended["words"]["metadata"]["sparkApplicationId"]
    history = client.get(ended["words"]["id"], "/history")["items"]
    told = [(event["type"].removeprefix("TaskExecution"), event["data"].get("sparkApplicationId")) for event in history]
    assert told == [
        ("Created", None), ("Started", None), ("Progressed", application), ("Succeeded", application),
    ]  # fmt: skip


def test_a_run_that_is_quicker_than_a_heartbeat_has_it_too(ended: dict[str, dict[str, Any]]) -> None:
    assert (ended["quick"]["status"], ended["quick"]["metadata"]["sparkApplicationId"]) == ("SUCCESS", "app-1")


def test_what_an_application_raises_is_how_it_failed(ended: dict[str, dict[str, Any]], logs: Path) -> None:
    found = ended["raise"]
    head, _, trace = found["errorMessage"].partition("\n\n")
    assert re.match(r"Py\w+(Error|Exception): ", head), head
    assert 'wrong.py", line ' in trace.splitlines()[1], "the traceback begins in the application"
    assert "ZeroDivisionError: division by zero" in head
    assert "\tat org.apache.spark" not in head
    assert found["metadata"]["sparkApplicationId"].startswith("local-")
    assert f"Submitted application: spark:wrong {found['id']}" in (logs / f"{found['id']}.log").read_text("utf-8")


def test_outputs_that_do_not_fit_fail(ended: dict[str, dict[str, Any]]) -> None:
    message = ended["outputs"]["errorMessage"]
    assert re.match(r"The outputs were refused: .*#/outputs/rows: ", message), message


@pytest.mark.parametrize("seconds", [0, 3_600])
def test_a_run_of_no_pyspark_task_fails_and_is_told_why(ended: dict[str, dict[str, Any]], seconds: int) -> None:
    found = ended[f"table {seconds}"]
    assert found["errorMessage"].startswith("What the run told was refused: "), found
    assert "pyspark_operator" in found["errorMessage"]
    assert "sparkApplicationId" not in found["metadata"]


def processes_of(directory: Path) -> list[psutil.Process]:
    """All of an endless run: the JVM, the driver, Spark's Python workers and what has started those."""
    ends = time.monotonic() + SECONDS
    while len(pids := {pid for file in directory.glob("*.pids") for pid in file.read_text("utf-8").split()}) < 5:
        assert time.monotonic() < ends, pids
        time.sleep(0.1)
    return [psutil.Process(int(pid)) for pid in pids]


def endless(client: Client, directory: Path) -> str:
    directory.mkdir()
    return client.execute("spark:endless", {"directory": str(directory)})


def seconds_until_gone(processes: list[psutil.Process]) -> float:
    began = time.monotonic()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
    return time.monotonic() - began


def test_a_stop_ends_all_its_processes_and_so_does_the_worker_that_ends(
    defined: Up, client: Client, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with worker(defined.url, PROGRAM, LOGS=str(tmp_path / "logs"), TMPDIR=str(temporary)) as process:
        stopped, left = (endless(client, tmp_path / name) for name in ("stopped", "left"))
        ends, goes_on = processes_of(tmp_path / "stopped"), processes_of(tmp_path / "left")
        client.post(f"task-executions/{stopped}/stop", {})
        assert seconds_until_gone(ends) < 15
        found = client.ended(stopped)
        assert found["status"] == "STOPPED"
        assert found["metadata"]["sparkApplicationId"] == (tmp_path / "stopped/application.id").read_text("utf-8")
        assert all(one.is_running() for one in goes_on)
        process.terminate()
        assert seconds_until_gone(goes_on) < 15
    assert client.ended(left)["errorMessage"] == "worker stopped"
    assert not list(temporary.iterdir())


def test_of_a_worker_that_is_killed_nothing_is_left_running(defined: Up, client: Client, tmp_path: Path) -> None:
    with worker(defined.url, PROGRAM, LOGS=str(tmp_path / "logs"), TMPDIR=str(tmp_path)) as process:
        endless(client, tmp_path / "killed")
        processes = processes_of(tmp_path / "killed")
        process.kill()
        assert seconds_until_gone(processes) < 10
