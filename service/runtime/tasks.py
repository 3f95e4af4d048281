"""Tasks that live as long as a context, and end together."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def running_task(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run the work as a task; it is cancelled, and awaited, when the context closes. Its errors are the task's."""
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def first_end(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until one of the tasks ends.

    Raises:
        RuntimeError: it ended by itself; else whatever it ended with.
    """
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
        raise RuntimeError(f"the {task.get_name()} ended by itself")
