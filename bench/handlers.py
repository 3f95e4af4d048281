"""Handler processes as they ship: `python -m service handler`."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from bench.cluster import PARTITIONS

_STOP_SECONDS: Final = 15


def start(servers: str, log: Path, profile: Path | None = None) -> psutil.Popen:
    """Start one; `profile` is where cProfile writes what it did."""
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": servers, "TASKEXEC_PARTITIONS": str(PARTITIONS)}
    profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
    with log.open("ab") as output:
        return psutil.Popen(
            [sys.executable, *profiler, "-m", "service", "handler"], env=environment, stdout=output, stderr=output
        )


@contextmanager
def handlers(servers: str, count: int, log: Path, profile: Path | None = None) -> Iterator[list[psutil.Popen]]:
    """Run so many of them, and end all that are in the list when the context ends; `profile` the first one."""
    processes = [start(servers, log, profile if number == 0 else None) for number in range(count)]
    try:
        yield processes
    finally:
        stop(processes)


def stop(processes: Sequence[psutil.Popen], how: signal.Signals = signal.SIGTERM) -> None:
    """End them; SIGTERM becomes SIGKILL after a deadline."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(how)
    for process in processes:
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def usage(processes: Sequence[psutil.Popen]) -> tuple[float, int]:
    """CPU seconds and resident bytes so far, of all of them."""
    cpu, memory = 0.0, 0
    for process in processes:
        times = process.cpu_times()
        cpu += times.user + times.system
        memory += process.memory_info().rss
    return cpu, memory
