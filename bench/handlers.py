"""The handler as it ships: `python -m service handler`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from bench.cluster import PARTITIONS

_STOP_SECONDS: Final = 30


def start(
    servers: str, log: Path, processes: int | None = None, profile: Path | None = None, **settings: object
) -> psutil.Popen:
    """Start one, as so many processes, or as many as it takes by itself; `profile` is where cProfile writes.

    `settings` are those of its environment.
    """
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": servers, "TASKEXEC_PARTITIONS": str(PARTITIONS)}
    environment |= {f"TASKEXEC_{name.upper()}": str(value) for name, value in settings.items()}
    profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
    options = ["--processes", str(processes)] if processes else []
    with log.open("ab") as output:
        return psutil.Popen(
            [sys.executable, *profiler, "-m", "service", "handler", *options],
            env=environment, stdout=output, stderr=output,
        )  # fmt: skip


@contextmanager
def handler(
    servers: str, log: Path, processes: int | None = None, profile: Path | None = None
) -> Iterator[psutil.Popen]:
    """Run one while the context is open."""
    running = start(servers, log, processes, profile)
    try:
        yield running
    finally:
        stop(running)


def stop(running: psutil.Popen, how: signal.Signals = signal.SIGTERM) -> None:
    """End it: SIGKILL ends all its processes at once; SIGTERM becomes SIGKILL after a deadline."""
    if running.poll() is not None:
        return
    family = _family(running)
    for process in family if how is signal.SIGKILL else [running]:
        process.send_signal(how)
    _, alive = psutil.wait_procs(family, timeout=_STOP_SECONDS)
    for process in alive:
        process.kill()
    running.wait()


def usage(running: psutil.Popen) -> tuple[float, int]:
    """CPU seconds and resident bytes so far, of all its processes."""
    cpu, memory = 0.0, 0
    for process in _family(running):
        times = process.cpu_times()
        cpu += times.user + times.system
        memory += process.memory_info().rss
    return cpu, memory


def _family(running: psutil.Popen) -> list[psutil.Process]:
    return [psutil.Process(running.pid), *running.children(recursive=True)]
