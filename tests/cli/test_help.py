import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from service.cli.main import app


def verbs(group: Any = None, before: str = "") -> Iterator[str]:
    """Every command there is, by what is typed."""
    for name, command in vars(group or get_command(app))["commands"].items():
        yield from verbs(command, f"{before}{name} ") if "commands" in vars(command) else [f"{before}{name}"]


COMMANDS = [*verbs()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_exit_codes(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])

    assert result.exit_code == 0
    assert f"$ taskexec {command}" in result.stdout
    assert "Exit codes: 0 done" in result.stdout


def test_the_first_help_lists_all_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])

    assert all(f" {command.split()[0]} " in result.stdout for command in COMMANDS)


def test_the_verbs_are_these() -> None:
    assert sorted({command.split()[0] for command in COMMANDS}) == [
        "api", "context", "count", "definitions", "demo", "doctor", "execute", "export", "fail", "failures", "get",
        "graph", "handler", "heartbeat", "history", "list", "play", "projection", "projector", "rejections", "rerun",
        "skip", "start", "state", "stats", "stop", "succeed", "topics", "up", "wait", "watch", "worker",
    ]  # fmt: skip


def test_wrong_usage_exits_with_2_and_writes_to_stderr() -> None:
    result = CliRunner().invoke(app, ["execute"])

    assert (result.exit_code, result.stdout) == (2, "")


def test_python_m_service_is_the_same_and_imports_nothing_heavy() -> None:
    heavy = "{'aiokafka', 'fastapi', 'httpx2', 'clickhouse_connect', 'chdb', 'pandas', 'pyarrow'}"
    code = (
        "import sys; sys.argv = ['taskexec', '--help']\n"
        "import service.__main__ as entry\n"
        "try: entry.main()\n"
        f"finally: print('heavy:', sorted({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "Usage: taskexec" in done.stdout
    assert done.stdout.endswith("heavy: []\n")


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"taskexec {version('task-execution-service')}\n")
