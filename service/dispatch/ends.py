"""Which executions have ended lately, and who waits for that. Pure, but for the futures of those who wait."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Final

from service.contracts.status import Status

REMEMBERED: Final = 50_000
"""So many are told of that ended when nobody waited: whoever waits for one asks again and again, with pauses."""


class Ends:
    """Knows what has ended since this process follows the events."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._ended: dict[str, Status] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def add(self, execution_id: str, status: Status) -> None:
        """It has ended."""
        self._ended[execution_id] = status
        if len(self._ended) > self._remembered:
            del self._ended[next(iter(self._ended))]
        for waiter in self._waiting.get(execution_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def of(
        self, execution_ids: Collection[str], seconds: float, closing: asyncio.Future[None]
    ) -> dict[str, Status]:
        """Which of these have ended: at once if any has, else when one does, when the time is over, or at closing."""
        if not (found := self._found(execution_ids)):
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            for id_ in execution_ids:
                self._waiting[id_].add(ended)
            try:
                await asyncio.wait([ended, closing], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for id_ in execution_ids:
                    self._waiting[id_].discard(ended)
                    if not self._waiting[id_]:
                        del self._waiting[id_]
            found = self._found(execution_ids)
        return found

    def _found(self, execution_ids: Collection[str]) -> dict[str, Status]:
        return {id_: self._ended[id_] for id_ in execution_ids if id_ in self._ended}
