"""The handler as several processes: Python uses one core per process, the handlers' group shares the partitions."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.bootstrap import Role, Running, running_service, serving_operations
from service.cli.exits import CommandError, Exit
from service.cli.serve import run
from service.contracts.readiness import STARTING, Readiness
from service.ports.readiness import Check
from service.settings import Settings

_STOP_SECONDS: Final = 20
_PAUSE_SECONDS: Final = 1
_REPORT_SECONDS: Final = 0.5
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
    members = [_Member() for _ in range(count)]

    def up(running: Running) -> None:
        if all(member.up for member in members):
            started(running)

    async def readiness() -> Readiness:
        return Readiness(
            all(member.readiness.ready for member in members),
            " | ".join(f"process {number}: {member.readiness.detail}" for number, member in enumerate(members, 1)),
        )

    async with AsyncExitStack() as stack:
        directory = stack.enter_context(_metrics())
        parts: list[asyncio.Task[None]] = []
        if settings.metrics_port is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]  # not typed
            server = serving_operations(settings, settings.metrics_port, {Role.HANDLER: readiness}, registry)
            parts.append(await stack.enter_async_context(server))
        keepers = [asyncio.create_task(_keep(settings, directory, member, up)) for member in members]
        stack.push_async_callback(_end_all, keepers)
        done, _ = await asyncio.wait([*keepers, *parts], return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()


@dataclass
class _Member:
    """What one of the processes told of itself last; `up`: its first one was ready once."""

    readiness: Readiness = STARTING
    up: bool = False


async def _end_all(keepers: list[asyncio.Task[None]]) -> None:
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(settings: Settings, metrics: str, member: _Member, up: Callable[[Running], None]) -> None:
    while True:
        told, tell = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_work, args=(settings.model_copy(update={"metrics_port": None}), tell))
        _start(process)
        tell.close()
        try:
            exit_code = await _follow(process, told, member, up)
        finally:
            member.readiness = STARTING
            told.close()
            await _end(process)
            mark_process_dead(process.pid, metrics)  # type: ignore[no-untyped-call]  # not typed
        if exit_code >= 0:
            raise CommandError(Exit.UNAVAILABLE, f"A handler process ended by itself, with exit status {exit_code}.")
        log.warning("process_killed", pid=process.pid, signal=signal.Signals(-exit_code).name, action="replaced")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _follow(process: SpawnProcess, told: Connection, member: _Member, up: Callable[[Running], None]) -> int:
    """Take in what the process tells until it ends; its exit code, negative if a signal ended it."""
    while True:
        await _readable(told.fileno())
        try:
            message = told.recv()
        except EOFError:
            break
        match message:
            case Readiness():
                member.readiness = message
            case Running() if not member.up:
                member.up = True
                up(message)
            case Running():
                pass
            case _:
                raise CommandError(*message)
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
        async with running_service(settings, {Role.HANDLER}) as (running, watch):
            tell.send(replace(running, checks={}))  # they are of this process only
            await _report(running.checks[Role.HANDLER], tell, watch)

    try:
        run(until_alone(), settings.log_level)
    except CommandError as error:
        tell.send((error.exit_code, *error.lines))
        sys.exit(error.exit_code)


async def _report(check: Check, tell: Connection, watch: asyncio.Task[None]) -> None:
    """Tell what the handler has open, whenever that changes, until it ends."""
    told = None
    while not watch.done():
        readiness = await check()
        if readiness != told:
            tell.send(readiness)
            told = readiness
        await asyncio.wait([watch], timeout=_REPORT_SECONDS)
    watch.result()
