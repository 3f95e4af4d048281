"""The service as a user runs it, `taskexec up`, and what is measured of it while it runs: memory, health, its log."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final, NamedTuple

import httpx2
import psutil

from tests.e2e.process import FREE_PORTS, TASKEXEC, clean_environment

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 40.0
_HEALTH_SECONDS: Final = 30.0
_PERIOD_SECONDS: Final = 0.25
_STALL_SECONDS: Final = 0.5


def slowness() -> float:
    """How many times longer than on an idle machine something may take here and now: what waits for each CPU."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Span(NamedTuple):
    """A time, in seconds since the epoch."""

    began: float
    ended: float

    def outside(self, others: Iterable["Span"]) -> float:
        """How many of its seconds are in none of these, which do not overlap."""
        shared = (min(self.ended, other.ended) - max(self.began, other.began) for other in others)
        return self.ended - self.began - sum(max(0.0, seconds) for seconds in shared)


@dataclass
class Samples:
    """`memory` in MB; /healthz: how long it took, how slow the machine was, and what was wrong with its answers.

    `stalls` are when nothing ran on this machine: what takes longer then is no flaw.
    """

    memory: list[float] = field(default_factory=list)
    health: list[tuple[Span, float]] = field(default_factory=list)
    unhealthy: list[str] = field(default_factory=list)
    stalls: list[Span] = field(default_factory=list)

    @property
    def slowest_health(self) -> float:
        """In seconds."""
        return max((asked.ended - asked.began for asked, _ in self.health), default=0.0)

    @property
    def slowest_alone(self) -> float:
        """In seconds, as on an idle machine that never stalls."""
        return max((asked.outside(self.stalls) / slower for asked, slower in self.health), default=0.0)

    def has_stalled(self, within: Span) -> bool:
        """Whether it did in this time."""
        return within.outside(self.stalls) < within.ended - within.began


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
        threads = [Thread(target=work, args=(service, stopping), daemon=True) for work in (_weigh, _ask, _watch)]
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
        began = time.time()
        try:
            answer = httpx2.get(f"{service.url}/healthz", timeout=_HEALTH_SECONDS)
            if answer.status_code != httpx2.codes.OK:
                samples.unhealthy.append(f"status {answer.status_code}")
        except httpx2.HTTPError as error:
            if not stopping.is_set():
                samples.unhealthy.append(repr(error))
        samples.health.append((Span(began, time.time()), slowness()))


def _watch(service: Service, stopping: Event) -> None:
    """Who only waits, and waits for too long, has stood still with the machine."""
    before = time.time()
    while not stopping.wait(_PERIOD_SECONDS):
        now = time.time()
        if now - before > _PERIOD_SECONDS + _STALL_SECONDS:
            service.samples.stalls.append(Span(before, now))
        before = now
