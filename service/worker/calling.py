"""Calls functions: as a coroutine, in a thread, or in a process of its own. To cancel a call ends it."""

import asyncio
import contextvars
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from inspect import iscoroutinefunction
from threading import Thread
from typing import Any, Final, NamedTuple

from service.contracts.commands import MAX_MESSAGE
from service.worker.run import Run

Function = Callable[[dict[str, Any], Run], Any]

_HEAD: Final = MAX_MESSAGE // 2


class Returned(NamedTuple):
    """What the function returned."""

    value: Any


class Raised(NamedTuple):
    """What it raised, as a text for people."""

    text: str


class RunFailedError(Exception):
    """The run failed, and the text says all of it: no traceback of who raises this is told."""


Ended = Returned | Raised
Call = Callable[[Function, dict[str, Any], Run], Awaitable[Ended]]


def way_of(function: Function) -> Call:
    """How this function is called where it need not be killed."""
    return _awaited if iscoroutinefunction(function) else _in_thread


def called(function: Function, inputs: dict[str, Any], run: Run) -> Ended:
    """Call it here."""
    try:
        return Returned(function(inputs, run))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the run and nothing else
        return Raised(failure_text(error))


def failure_text(error: BaseException) -> str:
    """`Type: message`, and the traceback."""
    kind = type(error)
    if kind is RunFailedError:
        return str(error)
    inner = error.__traceback__.tb_next if error.__traceback__ else None  # the first frame is ours
    trace = "".join(traceback.format_exception(kind, error, inner))
    return with_details(f"{kind.__qualname__}: {error}".strip().removesuffix(":"), trace)


def with_details(what: str, details: str) -> str:
    """What happened, and details below; of long ones their end, which is where it happened."""
    head, rest = _readable(what)[:_HEAD], _readable(details)
    left = MAX_MESSAGE - len(head) - 3
    return f"{head}\n\n{rest if len(rest) <= left else '…' + rest[-left:]}"


def _readable(text: str) -> str:
    """As JSON can hold it: no lone surrogates, no NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


async def _awaited(function: Function, inputs: dict[str, Any], run: Run) -> Ended:
    task = asyncio.current_task()
    try:
        return Returned(await function(inputs, run))
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            run.stop()
            raise
        return Raised(failure_text(error))


async def _in_thread(function: Function, inputs: dict[str, Any], run: Run) -> Ended:
    """A thread cannot be ended: it is told, and what it gives is dropped."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Ended] = loop.create_future()

    def finish(how: Ended) -> None:
        if not ended.done():
            ended.set_result(how)

    def work() -> None:
        how = called(function, inputs, run)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, how)

    # None of a pool: one that does not end would be in the way of the others.
    Thread(target=contextvars.copy_context().run, args=(work,), daemon=True, name=run.execution.id).start()
    try:
        return await ended
    finally:
        run.stop()
