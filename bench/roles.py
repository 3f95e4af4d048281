"""The roles of the service as processes of their own, as operators run them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.cluster import PARTITIONS


class Roles:
    """Starts roles of the service that is on this Kafka and this ClickHouse; their logs go into `home`."""

    def __init__(self, kafka: str, clickhouse: str, home: Path) -> None:
        self.home = home
        self.environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "CLICKHOUSE_DSN": f"{clickhouse}/default",
            "TASKEXEC_PARTITIONS": str(PARTITIONS),
            "TASKEXEC_PROCESSES": "1",
            "TASKEXEC_LOG_LEVEL": "WARNING",
        }

    @contextmanager
    def role(self, name: str, **more: str) -> Iterator[psutil.Popen]:
        """Run it while the context is open; it is ready then."""
        log = self.home / f"{name}{more.get('TASKEXEC_HTTP_PORT', '')}.log"
        with (
            log.open("wb") as output,
            ended(
                psutil.Popen([sys.executable, "-m", "service", name], env=self.environment | more, stderr=output)
            ) as process,
        ):
            while "Ready." not in log.read_text("utf-8"):
                if process.poll() is not None:
                    raise RuntimeError(log.read_text("utf-8"))
                time.sleep(0.05)
            yield process


@contextmanager
def ended(process: psutil.Popen) -> Iterator[psutil.Popen]:
    """The process, which ends with the context."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()


def cpu_seconds(process: psutil.Popen) -> float:
    """What the process has used, user and system."""
    times = process.cpu_times()
    return float(times.user + times.system)
