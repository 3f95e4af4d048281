"""A PySpark application: it is submitted for an execution, and its result is the execution's."""

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from typing import IO, Any, Final

from service.contracts.codec import decode, encode
from service.worker.calling import RunFailedError, with_details
from service.worker.process import ending
from service.worker.run import Run
from service.worker.spark import driver
from service.worker.worker import Worker

_LOOK_SECONDS: Final = 0.2
_MAX_LOG: Final = 8_192
"""So many bytes of the end of its log are told of an application that says no reason."""


class Spark:
    """Adds PySpark applications to a worker.

    Args:
        worker: takes the executions.
        master: where the application runs, as spark-submit has it. Its driver always runs here (deploy mode `client`).
        conf: Spark's properties, such as `spark.driver.memory`.
        arguments: more of spark-submit's, such as `--packages` and `--py-files`.
        logs: a directory for what applications write and Spark logs, a file `<executionId>.log` each. Without one, it
            is gone when the run is.
        submit: where spark-submit is; that of `SPARK_HOME` if not given, or else of PySpark (the extra `spark`).

    Raises:
        ValueError: there is no spark-submit.
    """

    def __init__(  # noqa: PLR0913 - what can be chosen; all but the first by name
        self,
        worker: Worker,
        *,
        master: str = "local[*]",
        conf: Mapping[str, str] | None = None,
        arguments: Iterable[str] = (),
        logs: Path | None = None,
        submit: Path | None = None,
    ) -> None:
        properties = (part for name, value in (conf or {}).items() for part in ("--conf", f"{name}={value}"))
        self._worker, self._logs = worker, logs.absolute() if logs else None
        self._submit = (str(submit or _spark_submit()), "--master", master)
        self._options = (*properties, *arguments, "--deploy-mode", "client")
        self._is_local = master.startswith("local")

    def task(self, task_id: str, application: str | Path, *, version: str | None = None) -> None:
        """Run this application, a Python file, for the executions of a task, in a range of versions (`>=1.2`).

        It finds the inputs, as JSON, in the file that the environment variable `TASKEXEC_INPUTS` names, and writes the
        outputs, as JSON, to the one that `TASKEXEC_RESULT` names. What it raises is how the execution failed.

        Raises:
            ValueError: there can be no such task or range, or there is no such file.
        """
        file = Path(application).absolute()
        if not file.is_file():
            raise ValueError(f"there is no application {file}")
        if self._logs:
            self._logs.mkdir(parents=True, exist_ok=True)
        function = Application(file, self._submit, self._options, self._logs, self._is_local)
        self._worker.task(task_id, version=version, process=True)(function)


@dataclass(frozen=True, slots=True)
class Application:
    """Submits the application, in a process whose temporary files are of this run alone."""

    file: Path
    submit: tuple[str, ...]
    options: tuple[str, ...]
    logs: Path | None
    is_local: bool

    def __call__(self, inputs: dict[str, Any], run: Run) -> Any:  # noqa: ANN401 - JSON is any
        """What the application gives.

        Raises:
            RunFailedError: it failed, or what it gives is no JSON.
        """
        files, id_ = Path(tempfile.gettempdir()), run.execution.id
        given, result = files / "inputs.json", files / "result.json"
        given.write_bytes(encode(inputs))
        name = ("--name", f"{run.execution.task_id} {id_}", "--conf", f"spark.local.dir={files}")
        command = [*self.submit, *name, *self.options, driver.__file__, str(self.file)]
        environment = self._environment(files) | {"TASKEXEC_INPUTS": str(given), "TASKEXEC_RESULT": str(result)}
        with ((self.logs or files) / f"{id_}.log").open("a+b") as log:
            with Popen(command, env=environment, stdin=DEVNULL, stdout=log, stderr=STDOUT) as process:  # noqa: S603 - what the user configured
                _watch(process, files / driver.APPLICATION_ID, run)
            if process.returncode:
                raise RunFailedError(_reason(process.returncode, files / driver.FAILURE, log))
        return _outputs(result)

    def _environment(self, files: Path) -> dict[str, str]:
        python = {"PYSPARK_DRIVER_PYTHON": sys.executable}
        if self.is_local:
            python["PYSPARK_PYTHON"] = sys.executable
        options = f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} -Djava.io.tmpdir={files}".strip()
        return python | os.environ | {"SPARK_SUBMIT_OPTS": options}


def _watch(process: Popen[bytes], application_id: Path, run: Run) -> None:
    """Wait until it ends, and tell which Spark application it is as soon as that is known."""
    told, ended = None, False
    while not ended:
        try:
            process.wait(_LOOK_SECONDS)
            ended = True
        except TimeoutExpired:
            pass
        if application_id.exists() and (id_ := application_id.read_text("utf-8")) != told:
            run.spark_application(id_)
            told = id_


def _reason(exit_code: int, failure: Path, log: IO[bytes]) -> str:
    if failure.exists():
        what, trace = json.loads(failure.read_bytes())  # what applications raise may hold NULs
        return with_details(what, trace)
    log.seek(max(log.seek(0, os.SEEK_END) - _MAX_LOG, 0))
    end = log.read().decode(errors="replace")
    return with_details(f"The application ended with {ending(exit_code)}. The end of its log:", end)


def _outputs(result: Path) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return decode(result.read_bytes()) if result.exists() else None
    except ValueError as error:
        raise RunFailedError(f"The outputs in TASKEXEC_RESULT are no JSON: {error}") from None


def _spark_submit() -> Path:
    found = importlib.util.find_spec("pyspark")
    home = os.environ.get("SPARK_HOME") or (found and found.origin and Path(found.origin).parent)
    if not home:
        raise ValueError("there is no Spark: install the extra `spark`, set SPARK_HOME, or say where spark-submit is")
    return Path(home, "bin", "spark-submit")
