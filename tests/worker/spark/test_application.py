"""An application as it is submitted, and what becomes of how it ends; by a spark-submit that does as it is told."""

import json
import tempfile
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from service.contracts.executions import Metadata, TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.worker import Run, Worker
from service.worker.calling import RunFailedError
from service.worker.run import Progress, Tell
from service.worker.spark import Spark

EXECUTION = TaskExecution(
    id="cb6139b1-6563-526b-96b0-0e9d64f64bed", task_id="sales:words", task_version="1.0.0", status=Status.RUNNING,
    metadata=Metadata(created_at=Timestamp(2026, 1, 1, tzinfo=UTC), created_by="/tests"),
)  # fmt: skip

Submitted = Callable[..., Any]


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """Run an application by a spark-submit that is this shell script."""
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    monkeypatch.setenv("FILES", str(files))
    (tmp_path / "words.py").touch()

    def submit(script: str, tell: Tell = lambda _: None, **more: Any) -> Any:
        program = tmp_path / "spark-submit"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        worker = Worker()
        Spark(worker, submit=program, **more).task("sales:words", tmp_path / "words.py")
        (task,) = worker._tasks
        return task.function({"day": "monday"}, Run(EXECUTION, tell))

    return submit


def test_it_is_given_the_inputs_and_its_result_is_the_outputs(submitted: Submitted) -> None:
    assert submitted('cat "$TASKEXEC_INPUTS" > "$TASKEXEC_RESULT"') == {"day": "monday"}


def test_what_writes_no_result_has_no_outputs(submitted: Submitted) -> None:
    assert submitted("exit 0") is None


def test_it_is_submitted_as_it_was_said_and_its_driver_always_runs_here(submitted: Submitted, tmp_path: Path) -> None:
    submitted(
        'for one in "$@"; do echo "$one"; done > "$FILES/arguments"', master="yarn",
        conf={"spark.driver.memory": "2g"}, arguments=("--deploy-mode", "cluster", "--py-files", "more.zip"),
    )  # fmt: skip
    *options, driver, application = (tmp_path / "files/arguments").read_text("utf-8").splitlines()
    assert options == [
        "--master", "yarn", "--name", f"sales:words {EXECUTION.id}", "--conf", f"spark.local.dir={tmp_path / 'files'}",
        "--conf", "spark.driver.memory=2g", "--deploy-mode", "cluster", "--py-files", "more.zip",
        "--deploy-mode", "client",
    ]  # fmt: skip
    assert (Path(driver).name, application) == ("driver.py", str(tmp_path / "words.py"))


def test_the_python_of_a_cluster_is_its_own(submitted: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    script = 'echo "\\"${PYSPARK_PYTHON:-none}\\"" > "$TASKEXEC_RESULT"'
    assert submitted(script, master="yarn") == "none"
    assert "python" in submitted(script, master="local[2]")
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/mine")
    assert submitted(script, master="local[2]") == "/opt/mine"


def test_each_application_id_is_told_as_soon_as_it_is_known(submitted: Submitted, tmp_path: Path) -> None:
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        (tmp_path / "files/told").touch()

    submitted(
        'cd "$FILES"; printf app-1 > new; mv new application-id; until [ -e told ]; do sleep 0.02; done; '
        "printf app-2 > new; mv new application-id",
        tell,
    )
    assert told == [Progress(spark_application_id="app-1"), Progress(spark_application_id="app-2")]


def test_without_a_reason_the_end_of_the_log_is_told(submitted: Submitted) -> None:
    with pytest.raises(RunFailedError) as failure:
        submitted("seq 100000; echo no such master >&2; exit 7")
    head, _, end = str(failure.value).partition("\n\n")
    assert head == "The application ended with exit status 7. The end of its log:"
    assert end.endswith("100000\nno such master\n")
    assert len(end) == 8_192


def test_what_kills_it_is_told(submitted: Submitted) -> None:
    with pytest.raises(RunFailedError, match=r"^The application ended with signal SIGKILL\."):
        submitted("kill -9 $$")


def test_a_result_that_is_no_json_fails(submitted: Submitted) -> None:
    with pytest.raises(RunFailedError, match=r"^The outputs in TASKEXEC_RESULT are no JSON: "):
        submitted('echo "{" > "$TASKEXEC_RESULT"')


def test_its_log_is_kept_where_logs_are(submitted: Submitted, tmp_path: Path) -> None:
    submitted("echo said; echo warned >&2", logs=tmp_path / "logs")
    assert (tmp_path / "logs" / f"{EXECUTION.id}.log").read_text("utf-8") == "said\nwarned\n"


def test_a_long_reason_is_told_by_its_beginning_and_its_end(submitted: Submitted, tmp_path: Path) -> None:
    reason = json.dumps(["ValueError: " + "x" * 100_000, "Traceback\n" + "y" * 100_000 + " at last"])
    (tmp_path / "reason").write_text(reason, encoding="utf-8")
    with pytest.raises(RunFailedError) as failure:
        submitted(f'cp "{tmp_path / "reason"}" "$FILES/failure.json"; exit 1')
    text = str(failure.value)
    assert text.startswith("ValueError: xxx")
    assert text.endswith("yyy at last")
    assert len(text) == 65_536


def test_a_reason_may_hold_anything(submitted: Submitted, tmp_path: Path) -> None:
    (tmp_path / "reason").write_text(json.dumps(["KeyError: a\0b \ud800", "Traceback"]), encoding="utf-8")
    with pytest.raises(RunFailedError) as failure:
        submitted(f'cp "{tmp_path / "reason"}" "$FILES/failure.json"; exit 1')
    assert str(failure.value) == "KeyError: a\\x00b \\ud800\n\nTraceback"


def test_an_application_that_is_not_there_is_no_task(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no application .*missing\.py"):
        Spark(Worker(), submit=tmp_path).task("sales:words", tmp_path / "missing.py")


def test_without_spark_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="install the extra `spark`"):
        Spark(Worker())
