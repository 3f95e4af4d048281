"""Ends a client of Kafka without waiting long for a broker that is gone: nobody awaits the outcome any more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiokafka.errors import KafkaError

_SECONDS: Final = 5.0


async def stop(stop: Callable[[], Awaitable[None]]) -> None:
    """Call it and await it, for 5 s at most, whatever Kafka says."""
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_SECONDS):
            try:
                await stop()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise


def is_cancelled() -> bool:
    """Whether a CancelledError is ours to pass on.

    aiokafka's task for a group cancels itself where it leaves the group while that is shared anew, and who awaits it
    gets the error.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
