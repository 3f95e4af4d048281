"""Ends runs that nobody wants any more, soon: without it, the next heartbeat would."""

import asyncio
from collections.abc import Collection
from typing import Final

from service.worker.executing import Executing
from service.worker.service import RefusedError, Service, UnreachableError

_PAUSE_SECONDS: Final = 1.0
"""A run that takes less time is not watched: each request costs about as much as a command."""

_WAIT_SECONDS: Final = 20.0
_MOST: Final = 1_000


async def watch(service: Service, running: Collection[Executing]) -> None:
    """Until cancelled, ask which of these have ended; of each, the service knows first."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        watched = {one.execution_id: one for one in [*running][:_MOST]}
        if not watched:
            continue
        asking = asyncio.create_task(service.ended(watched, _WAIT_SECONDS))
        try:
            while not asking.done() and all(one.execution_id in watched for one in running):
                await asyncio.wait([asking], timeout=_PAUSE_SECONDS)
            if asking.done():
                for id_ in asking.result():
                    watched[id_].over()
        except (UnreachableError, RefusedError):
            pass  # what goes wrong is said by heartbeats and claims
        finally:
            asking.cancel()
