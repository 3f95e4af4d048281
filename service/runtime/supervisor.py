"""Several processes that do the same: Python uses one core per process."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

import structlog
from prometheus_client.multiprocess import mark_process_dead

from service.contracts.readiness import STARTING, Readiness
from service.runtime.child import Failed, Up

_STOP_SECONDS: Final = 20
_PAUSE_SECONDS: Final = 1

log = structlog.get_logger(__name__)
_spawn: Final = multiprocessing.get_context("spawn")

ChildWork = Callable[[Connection], None]
"""What a child process calls, with the pipe to its parent; it is pickled. It tells `Up`, each `Readiness`, `Failed`."""


class ChildEndedError(Exception):
    """A child process ended by itself: the others would end the same way. The message says why."""


@dataclass
class _Child:
    """What one of the processes told of itself last; `up`: its first one was ready once."""

    readiness: Readiness = STARTING
    up: bool = False


@dataclass
class Supervisor:
    """Keeps `count` processes at `work`; `started` is called, with the summary of the last, when all are up.

    One that is killed is replaced. One that ends by itself ends them all: it would end the same way again. If this
    process is killed, they end as well. `metrics` is the directory in which they keep their metrics.
    """

    work: ChildWork
    count: int
    metrics: str
    started: Callable[[str], None]
    _children: list[_Child] = field(init=False)

    def __post_init__(self) -> None:
        self._children = [_Child() for _ in range(self.count)]

    def readiness(self) -> Readiness:
        """Ready when all of them are."""
        return Readiness(
            all(child.readiness.ready for child in self._children),
            " | ".join(f"process {number}: {child.readiness.detail}" for number, child in enumerate(self._children, 1)),
        )

    async def run(self) -> None:
        """Run them until cancelled.

        Raises:
            ChildEndedError: one ended by itself.
        """
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, child: _Child) -> None:
        while True:
            told, tell = _spawn.Pipe(duplex=False)
            process = _spawn.Process(target=partial(self.work, tell))
            _start(process)
            tell.close()
            try:
                exit_code = await self._follow(process, told, child)
            finally:
                child.readiness = STARTING
                told.close()
                await _end(process)
                mark_process_dead(process.pid, self.metrics)  # type: ignore[no-untyped-call]  # not typed
            if exit_code >= 0:
                raise ChildEndedError(f"A process ended by itself, with exit status {exit_code}.")
            log.warning("process_killed", pid=process.pid, signal=signal.Signals(-exit_code).name, action="replaced")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, process: SpawnProcess, told: Connection, child: _Child) -> int:
        """Take in what the process tells until it ends; its exit code, negative if a signal ended it."""
        while True:
            await _readable(told.fileno())
            try:
                message: Readiness | Up | Failed = told.recv()
            except EOFError:
                break
            match message:
                case Readiness():
                    child.readiness = message
                case Up(summary) if not child.up:
                    child.up = True
                    if all(other.up for other in self._children):
                        self.started(summary)
                case Up():
                    pass
                case Failed(reason):
                    raise ChildEndedError(reason)
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
