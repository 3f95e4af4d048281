"""Runs a coroutine as the whole of a process."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


def run_until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or until SIGINT or SIGTERM cancels it. Its errors are raised."""

    async def until_terminated() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await work
        finally:  # of one that comes later, Python would complain: asyncio closes what it would tell of it first
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(until_terminated())
