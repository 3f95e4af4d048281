"""How a part of the service says what it has open."""

import asyncio
from collections.abc import Awaitable, Callable

from service.contracts.readiness import Readiness

Check = Callable[[], Awaitable[Readiness]]
"""Asks a part of the service what it has open; that it raises says that it is not ready."""

CHECK_SECONDS = 3.0
"""How long a part may take to say that it is ready."""


async def ask(check: Check) -> Readiness:
    """What the check says, in bounded time; it never raises."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return Readiness(ready=False, detail=f"no answer within {CHECK_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the part, it is not ready
        return Readiness(ready=False, detail=f"{type(error).__name__}: {error}")
