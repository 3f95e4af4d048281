"""Reads answers of which hours are counted that have ended, so that each row is in them once (docs/adr/0033, 0053)."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from cachetools import LRUCache

from service.read_model.clickhouse.driver import Driver, Row
from service.read_model.clickhouse.hours import CHANGED, CLOSED, FURTHEST, UNTIL, Closed, Parts
from service.read_model.clickhouse.statements import Statement

LEASE: Final = timedelta(seconds=1)
"""For so long after it was asked, what is closed needs not be asked again: who opens hours waits for that."""

_LATELY_SECONDS: Final = 60.0

_REMEMBERED: Final = 10_000
"""So many groups of closed hours are remembered, of all that was asked last: some megabytes."""


class ClosedHours:
    """The counts of closed hours, beside the transitions, for who asks. `clock`: epoch seconds.

    Raises:
        UnavailableError: by every method; try again later.
    """

    def __init__(self, driver: Driver, clock: Callable[[], float]) -> None:
        self._driver = driver
        self._clock = clock
        self._known = (float("-inf"), Closed())
        self._sure = (float("-inf"), Closed())  # when it was asked last whether these are closed, and they were
        self._sums: LRUCache[str, list[Row]] = LRUCache(_REMEMBERED, getsizeof=_size)

    async def read(self, question: Callable[[Closed], Parts]) -> tuple[list[Row], list[Row]]:
        """What there is of the rows that are in no closed hour, and of the hours that are closed.

        Until an hour is opened again, its counts stay: so an old knowledge of what is closed serves as well as a new
        one, and so does what they added up to. Whether one was opened meanwhile is asked after the rows were read,
        unless it was a moment ago: before a late row is stored, its hour is opened, and nobody goes by what was closed
        before.
        """
        closed = await self._lately_closed()
        while True:
            parts = question(closed)
            asked = repr((closed, parts.hours))
            rows, sums = await asyncio.gather(self._driver.query(*parts.rows), self._of_hours(asked, parts.hours))
            if UNTIL not in parts.rows.parameters:
                return rows, []
            if self._is_sure(closed) or await self._is_still(closed):
                if asked not in self._sums and _size(sums) <= _REMEMBERED:
                    self._sums[asked] = sums
                return rows, sums
            closed = await self.now()

    async def now(self) -> Closed:
        """Which hours are closed."""
        at, asked = self._clock(), time.monotonic()
        (row,) = await self._driver.query(CLOSED)
        closed = Closed(**row)
        self._known, self._sure = (at, closed), (asked, closed)
        return closed

    async def outlast(self, hour: int) -> None:
        """Wait until nobody goes by what was closed before the last mark, if this hour or a later one ever was."""
        (furthest,) = await self._driver.query(FURTHEST)
        if furthest["until"] > hour:
            await asyncio.sleep(LEASE.total_seconds())

    async def _of_hours(self, asked: str, statement: Statement | None) -> list[Row]:
        if statement is None:
            return []
        known = self._sums.get(asked)
        return await self._driver.query(*statement) if known is None else known

    def _is_sure(self, closed: Closed) -> bool:
        asked, known = self._sure
        return _same(closed, known) and time.monotonic() < asked + LEASE.total_seconds()

    async def _is_still(self, closed: Closed) -> bool:
        asked = time.monotonic()
        (changed,) = await self._driver.query(CHANGED)
        if still := _same(closed, Closed(**changed)):
            self._sure = asked, closed
        return still

    async def _lately_closed(self) -> Closed:
        at, closed = self._known
        return closed if self._clock() < at + _LATELY_SECONDS else await self.now()


def _size(sums: list[Row]) -> int:
    return len(sums) + 10  # and the question


def _same(one: Closed, other: Closed) -> bool:
    """Whether nothing was opened or forgotten between: what was closed later makes no difference."""
    return (one.reopened, one.since) == (other.reopened, other.since)
