"""Writes batches in their order, each while the next one is being read and made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Write = Callable[[], Awaitable[None]]


class Writing:
    """One write at a time is under way."""

    def __init__(self) -> None:
        self._under_way: asyncio.Future[None] | None = None

    async def begin(self, write: Write) -> None:
        """Begin with this write once the one before has ended.

        Raises:
            Exception: what the one before has raised; then this one is not begun.
        """
        await self.end()
        self._under_way = asyncio.ensure_future(write())

    async def end(self) -> None:
        """Wait for what is under way. Raises what that has raised."""
        if self._under_way is not None:
            await self._under_way
            self._under_way = None

    async def stop(self) -> None:
        """Leave off what is under way; whatever it raises was not waited for."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait([self._under_way])
            if not self._under_way.cancelled():
                self._under_way.exception()


@asynccontextmanager
async def writing() -> AsyncIterator[Writing]:
    """For a reader that goes on while its last batch is being written; all is written when the context ends well."""
    found = Writing()
    try:
        yield found
        await found.end()
    finally:
        await found.stop()
