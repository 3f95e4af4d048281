"""What a child process of the supervisor does: work, tell how it stands, and end with its parent."""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from service.ports.readiness import Check
from service.runtime.signals import run_until_terminated

_REPORT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Up:
    """The process is ready for the first time; `summary` is one line for whoever started it."""

    summary: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The process ends, for a reason that an operator can mend."""

    reason: str


def run_child(
    work: Callable[[], Coroutine[Any, Any, None]], tell: Connection, operator_errors: tuple[type[Exception], ...]
) -> None:
    """Run the work as a child process, which ends with its parent. `operator_errors` are told, not shown."""

    async def until_alone() -> None:
        parent, loop = multiprocessing.parent_process(), asyncio.get_running_loop()
        assert parent is not None  # noqa: S101 - we were started by one

        def end() -> None:
            loop.remove_reader(parent.sentinel)
            signal.raise_signal(signal.SIGTERM)  # as the parent would have ended us

        loop.add_reader(parent.sentinel, end)
        await work()

    try:
        run_until_terminated(until_alone())
    except operator_errors as error:
        with suppress(BrokenPipeError):  # the parent may have gone
            tell.send(Failed(str(error)))
        sys.exit(1)


async def report(check: Check, tell: Connection, watch: asyncio.Task[None]) -> None:
    """Tell the parent what the check says, whenever that changes, until `watch` ends; raises what it ends with."""
    told = None
    while not watch.done():
        readiness = await check()
        if readiness != told:
            tell.send(readiness)
            told = readiness
        await asyncio.wait([watch], timeout=_REPORT_SECONDS)
    watch.result()
