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
            await stop()
