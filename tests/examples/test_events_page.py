"""What docs/events.md shows works, as a reader would run it: from the root of a clone, with the service running."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
import stamina

from service.contracts.events import EVENT_TYPES
from service.domain.identity import command_id
from tests.e2e.process import Up

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/events.md").read_text(encoding="utf-8")
PROGRAMS: Final = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHELL: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS: Final = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
DEFINITION: Final = """
taskId: sales:daily_report
version: 1.2.0
status: PUBLISHED
type: sql
inputVariables: [{name: day, type: string}]
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples without what somebody has built of them, and `python`."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("target", "__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def definition(service: Up, tmp_path_factory: pytest.TempPathFactory) -> Up:
    file = tmp_path_factory.mktemp("definition") / "daily_report.yaml"
    file.write_text(DEFINITION, encoding="utf-8")
    assert service.run("definitions", "publish", str(file)).returncode == 0
    return service


def run(service: Up, clone: Path, *command: str) -> str:
    ran = subprocess.run(
        command, cwd=clone, env=_environment(service), check=False, timeout=110, capture_output=True, text=True
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@contextmanager
def running(service: Up, clone: Path, *command: str) -> Iterator[Iterator[str]]:
    """The lines that a program prints until it is ended."""
    with subprocess.Popen(command, cwd=clone, env=_environment(service), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield (line.rstrip("\n") for line in process.stdout)
        finally:
            process.terminate()


def _environment(service: Up) -> dict[str, str]:
    return service.environment | {"NO_PROXY": "127.0.0.1", "PATH": f"{sys.prefix}/bin:{service.environment['PATH']}"}


def command(beginning: str) -> list[str]:
    """The only command of the page that begins so, or has such an argument."""
    (found,) = [line for line in COMMANDS if beginning in line]
    return shlex.split(found)


def fail(service: Up, execution: str, why: str) -> None:
    for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=30, wait_max=0.2):
        with attempt:
            assert service.run("get", execution).returncode == 0
    for words in (("start", execution), ("fail", execution, why)):
        done = service.run(*words)
        assert done.returncode == 0, done.stderr


def test_programs_in_other_languages_publish_and_consume(definition: Up, clone: Path) -> None:
    """Each sends a command; each of the two consumers sees both fail."""
    run(definition, clone, *command("compiler:compile"))
    expected = set()
    for name in ("java-1", "librdkafka-1"):
        said = run(definition, clone, *command(name))
        assert re.match(r"stored at task-execution\.commands\S+\n", said)
        execution = command_id("/billing", name)
        fail(definition, execution, f"{name} is full")
        expected.add(f"{execution}/3 sales:daily_report {name} is full")
    for consumer in ("example.Failures", "failures.py"):
        missing = set(expected)
        with running(definition, clone, *command(consumer)) as lines:
            while missing:  # others may have failed, too
                missing.discard(re.sub(r" 2\d{3}-.+?(?= sales:)", "", next(lines)))


def test_the_programs_in_python_work(definition: Up, clone: Path) -> None:
    execute = ("execute", "sales:daily_report", "1.2.0", "--input", "day=2026-03-01", "--json")
    created = definition.run(*execute)
    assert created.returncode == 0, created.stderr
    execution = re.findall(r'"id": ?"([0-9a-f-]{36})"', created.stdout)[0]
    fail(definition, execution, "no disk")
    typed, plain, faststream = PROGRAMS
    printed = run(definition, clone, "python", "-c", typed)
    assert re.fullmatch(r"sales:daily_report [0-9a-f-]{36} .+ 2\S+Z None\n", printed), printed
    lines = run(definition, clone, "python", "-c", plain).splitlines()
    assert {line.split()[0] for line in lines} <= EVENT_TYPES.keys()
    assert lines[-1] == "TaskExecutionFailed 3 FAILURE"
    noted = run(definition, clone, "python", "-c", faststream)
    assert re.search(r"^sales:daily_report (no disk|.+ is full)$", noted, re.MULTILINE), noted
    (shell,) = SHELL
    assert "--webhook" in run(definition, clone, "bash", "-euo", "pipefail", "-c", shell)


def test_the_pinned_versions_are_those_that_are_tested() -> None:
    pins = (ROOT / "examples/librdkafka/requirements.txt").read_text(encoding="utf-8").split()
    assert pins == [f"{name}=={version(name)}" for name in ("cloudevents", "confluent-kafka")]


def test_every_block_and_command_is_run() -> None:
    assert (len(PROGRAMS), len(SHELL), len(COMMANDS)) == (3, 1, 6)  # pip alone is not: the versions are installed
