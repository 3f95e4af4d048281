"""Metrics of several processes as if they were of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where it is set when a process starts, prometheus_client keeps the process's metrics there."""


@contextmanager
def shared_metrics() -> Iterator[tuple[str, CollectorRegistry]]:
    """A directory for the metrics of all processes that are started while the context is open, and their registry."""
    with TemporaryDirectory(prefix="taskexec-metrics-") as directory:
        os.environ[_VARIABLE] = directory
        try:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]  # not typed
            yield directory, registry
        finally:
            del os.environ[_VARIABLE]
