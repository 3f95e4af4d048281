"""Calls a function in a process of its own, which can be killed, with all that it has started."""

import asyncio
import multiprocessing
import os
import signal
import tempfile
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from shutil import rmtree
from threading import Thread
from typing import Any, Final

from service.contracts.executions import TaskExecution
from service.worker.calling import Ended, Function, Raised, called
from service.worker.run import Progress, Run

_spawn: Final = multiprocessing.get_context("spawn")


async def in_process(function: Function, inputs: dict[str, Any], run: Run) -> Ended:
    """Call it there. It must be a function that a module has under its name; inputs and result are pickled.

    Its temporary files are in a directory of its own, which is removed, however it ends.
    """
    ours, theirs = _spawn.Pipe()
    files = tempfile.mkdtemp(prefix="taskexec-run-")
    process = _spawn.Process(target=_work, args=(theirs, files, function, inputs, run.execution))
    process.start()
    theirs.close()
    try:
        while True:
            await _until_readable(ours.fileno())
            message: Progress | Ended = ours.recv()
            if not isinstance(message, Progress):
                return message
            run.tell(message)
    except EOFError:
        await _until_readable(process.sentinel)
        process.join()
        return Raised(f"The process ended by itself: {ending(process.exitcode)}")
    finally:
        run.stop()
        _kill(process.pid)
        ours.close()
        process.join()
        await asyncio.to_thread(rmtree, files, ignore_errors=True)


def _work(pipe: Connection, files: str, function: Function, inputs: dict[str, Any], execution: TaskExecution) -> None:
    os.setsid()  # what it starts is killed with it; Ctrl-C is not for it
    os.environ["TMPDIR"] = tempfile.tempdir = files
    Thread(target=_die_with_parent, daemon=True).start()
    run = Run(execution, pipe.send)
    how = called(function, inputs, run)
    try:
        pipe.send(how)
    except Exception as error:  # noqa: BLE001 - whatever its result cannot be pickled for
        pipe.send(Raised(f"{type(error).__qualname__}: the result cannot be sent from its process: {error}"))


def _die_with_parent() -> None:
    """Whoever is killed reports nothing: the lease ends, and others may do the same again. So it must not go on."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - we have been started by one
    wait_for([parent.sentinel])
    _kill(os.getpid())


def _kill(pid: int | None) -> None:
    if pid is not None:
        for kill in (os.killpg, os.kill):  # the group is there once it has begun
            with suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)


def ending(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is not None and exit_code < 0:
        return f"signal {signal.Signals(-exit_code).name}"
    return f"exit status {exit_code}"


async def _until_readable(descriptor: int) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
