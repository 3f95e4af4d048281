"""Runs `taskexec` as a user does: as a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

TASKEXEC = (sys.executable, "-m", "service")
FREE_PORTS = ("--kafka-port", "0", "--http-port", "0")


@dataclass(frozen=True)
class Up:
    """A running service, where its parts are, and what it has said."""

    process: subprocess.Popen[str]
    kafka: str
    url: str
    said: list[str]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "TASKEXEC_URL": self.url}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return taskexec(*arguments, environment=self.environment)


def taskexec(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TASKEXEC, *arguments], env=environment or clean_environment(), check=False, timeout=120, capture_output=True,
        text=True,
    )  # fmt: skip


@contextmanager
def up(data_dir: Path, **environment: str) -> Iterator[Up]:
    """`taskexec up` on free ports; must end with status 0 when it is terminated, unless it was killed before."""
    command = [*TASKEXEC, "up", "--data-dir", str(data_dir), *FREE_PORTS]
    variables = clean_environment() | environment
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said: list[str] = []
            yield Up(process, *_addresses(process.stderr, said), said)
        finally:
            process.terminate()
    assert process.returncode in {0, -9}


def clean_environment() -> dict[str, str]:
    """Ours, without what the project or a `make` around us could have set."""
    ours = ("TASKEXEC_", "KAFKA_", "CLICKHOUSE_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _drain(stderr: IO[str], said: list[str]) -> None:
    with suppress(ValueError):  # it is closed at the end
        said.extend(stderr)


def _addresses(stderr: IO[str], said: list[str]) -> tuple[str, str]:
    for line in stderr:
        said.append(line)
        if found := re.search(r"Ready\..* Kafka: (\S+)\. API: (\S+)\.$", line):
            Thread(target=_drain, args=(stderr, said), daemon=True).start()  # a full pipe would stop the service
            return found[1], found[2]
    raise AssertionError(f"the service ended:\n{''.join(said)}")
