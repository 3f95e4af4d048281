"""Starts the whole service for a play, and keeps it up afterwards if so asked."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.runtime.running import Running

PROJECTION_SECONDS: Final = 60.0
"""How long the read side may take, after the last event, until it has everything."""

Outcome = TypeVar("Outcome")


async def run_play(
    service: AbstractAsyncContextManager[Running],
    play: Callable[[Running, Console], Coroutine[Any, Any, Outcome]],
    finished: Callable[[Outcome, Running], None],
    *,
    stay: bool,
) -> None:
    """Start the service, play, and give `finished` the outcome; then stay up until cancelled, if so asked.

    Progress goes to stderr. Raises what `play` and `finished` raise, and whatever ends the service.
    """
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        with console.status("Starting (the first time Kafka's jars are fetched: half a minute) …"):
            running = await stack.enter_async_context(service)
        playing = asyncio.create_task(play(running, console))
        await asyncio.wait([playing, running.watch], return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await running.watch
        finished(await playing, running)
        if stay:
            await running.watch


def progress_bar(console: Console) -> Progress:
    """A bar that goes away when it is full."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)
