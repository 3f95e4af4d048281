"""The handler as several processes: Python uses one core per process, the handlers' group shares the partitions."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.app import Role, Running, run_roles, serve_metrics
from service.cli.exits import CommandError, Exit
from service.cli.serve import run
from service.settings import Settings

_STOP_SECONDS: Final = 20
_PAUSE_SECONDS: Final = 1
_METRICS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where it is set when a process starts, prometheus_client keeps the process's metrics there."""

log = structlog.get_logger(__name__)
_spawn: Final = multiprocessing.get_context("spawn")


def available_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many CPUs this process may use: its affinity, and what its control group allows (cgroup v2), rounded up."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text("ascii").split()
        return cpus if allowed == "max" else min(cpus, -(-int(allowed) // int(period)))
    except OSError:
        return cpus


async def run_processes(settings: Settings, count: int, started: Callable[[Running], None]) -> None:
    """Run so many handler processes until cancelled; `started` is called when all are up.

    One that is killed is replaced. One that ends by itself ends them all: it would end the same way again. If this
    process is killed, they end as well.

    Raises:
        CommandError: why a process ended.
    """
    with _metrics() as directory:
        missing = count

        def ready(running: Running) -> None:
            nonlocal missing
            missing -= 1
            if missing == 0:
                if settings.metrics_port is not None:  # last: that it answers says that all are up
                    registry = CollectorRegistry()
                    MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]  # not typed
                    serve_metrics(settings.http_host, settings.metrics_port, registry)
                started(running)

        keepers = [asyncio.create_task(_keep(settings, directory, ready)) for _ in range(count)]
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(settings: Settings, metrics: str, ready: Callable[[Running], None]) -> None:
    while True:
        told, tell = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_work, args=(settings.model_copy(update={"metrics_port": None}), tell))
        _start(process)
        tell.close()
        try:
            exit_code = await _follow(process, told, ready)
        finally:
            told.close()
            await _end(process)
            mark_process_dead(process.pid, metrics)  # type: ignore[no-untyped-call]  # not typed
        if exit_code >= 0:
            raise CommandError(Exit.UNAVAILABLE, f"A handler process ended by itself, with exit status {exit_code}.")
        log.warning("process_killed", pid=process.pid, signal=signal.Signals(-exit_code).name, action="replaced")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _follow(process: SpawnProcess, told: Connection, ready: Callable[[Running], None]) -> int:
    """Take in what the process tells until it ends; its exit code, negative if a signal ended it."""
    while True:
        await _readable(told.fileno())
        try:
            message = told.recv()
        except EOFError:
            break
        if not isinstance(message, Running):
            raise CommandError(*message)
        ready(message)
    await _readable(process.sentinel)
    process.join()
    assert process.exitcode is not None  # noqa: S101 - it has ended
    return process.exitcode


def _start(process: SpawnProcess) -> None:
    """Ctrl-C reaches every process of a terminal: this one alone acts on it, and ends the others."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


async def _end(process: SpawnProcess) -> None:
    if process.is_alive():
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await _readable(process.sentinel)
    except TimeoutError:
        process.kill()
    process.join()


async def _readable(descriptor: int) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


@contextmanager
def _metrics() -> Iterator[str]:
    with TemporaryDirectory(prefix="taskexec-metrics-") as directory:
        os.environ[_METRICS_DIRECTORY] = directory
        try:
            yield directory
        finally:
            del os.environ[_METRICS_DIRECTORY]


def _work(settings: Settings, tell: Connection) -> None:
    """What such a process does."""

    async def until_alone() -> None:
        parent, loop = multiprocessing.parent_process(), asyncio.get_running_loop()
        assert parent is not None  # noqa: S101 - we were started by one

        def end() -> None:
            loop.remove_reader(parent.sentinel)
            signal.raise_signal(signal.SIGTERM)  # as the parent would have ended us

        loop.add_reader(parent.sentinel, end)
        await run_roles(settings, {Role.HANDLER}, tell.send)

    try:
        run(until_alone(), settings.log_level)
    except CommandError as error:
        tell.send((error.exit_code, *error.lines))
        sys.exit(error.exit_code)
