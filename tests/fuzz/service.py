"""The service as a user runs it, `taskexec up`, and what is measured of it while it runs: memory, health, its log."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final

import httpx2
import psutil

from tests.e2e.process import FREE_PORTS, TASKEXEC, clean_environment

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 40.0
_HEALTH_SECONDS: Final = 30.0
_PERIOD_SECONDS: Final = 0.25


def slowness() -> float:
    """How many times longer than on an idle machine something may take here and now: what waits for each CPU."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Samples:
    """`memory` in MB; the slowest /healthz in seconds, and as on an idle machine; what was wrong with its answers."""

    memory: list[float] = field(default_factory=list)
    slowest_health: float = 0.0
    slowest_alone: float = 0.0
    unhealthy: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    kafka: str
    url: str
    log_file: Path
    samples: Samples

    @property
    def log(self) -> str:
        """All it has written."""
        return self.log_file.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        return self.process.poll() is not None


@contextmanager
def running(directory: Path) -> Iterator[Service]:
    """`taskexec up` with its data in this directory, sampled until the context is left."""
    log_file = directory / "service.log"
    command = [*TASKEXEC, "up", "--data-dir", str(directory / "data"), *FREE_PORTS]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=clean_environment(), stdout=log, stderr=log)
    stopping, samples = Event(), Samples()
    try:
        service = Service(process, *_addresses(process, log_file), log_file, samples)
        threads = [Thread(target=work, args=(service, stopping), daemon=True) for work in (_weigh, _ask)]
        for thread in threads:
            thread.start()
        yield service
    finally:
        stopping.set()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


def _addresses(process: subprocess.Popen[bytes], log_file: Path) -> tuple[str, str]:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"Ready\..* Kafka: (\S+)\. API: (\S+)\.\n", log_file.read_text(errors="replace")):
            return found[1], found[2]
        time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{log_file.read_text(errors='replace')}")


def _weigh(service: Service, stopping: Event) -> None:
    process = psutil.Process(service.process.pid)  # the broker is a child with memory of its own
    with suppress(psutil.NoSuchProcess):
        while not stopping.wait(_PERIOD_SECONDS):
            service.samples.memory.append(process.memory_info().rss / 1e6)


def _ask(service: Service, stopping: Event) -> None:
    samples = service.samples
    while not stopping.wait(_PERIOD_SECONDS):
        began = time.monotonic()
        try:
            answer = httpx2.get(f"{service.url}/healthz", timeout=_HEALTH_SECONDS)
            if answer.status_code != httpx2.codes.OK:
                samples.unhealthy.append(f"status {answer.status_code}")
        except httpx2.HTTPError as error:
            if not stopping.is_set():
                samples.unhealthy.append(repr(error))
        seconds = time.monotonic() - began
        samples.slowest_health = max(samples.slowest_health, seconds)
        samples.slowest_alone = max(samples.slowest_alone, seconds / slowness())
