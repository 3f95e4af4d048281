"""Keeps count of the hours that have ended, and opens them again for what comes late (docs/adr/0033, 0051)."""

import math
from collections.abc import Callable
from datetime import timedelta
from secrets import randbits
from typing import Final

import structlog

from service.contracts.timestamps import from_epoch_ms
from service.read_model.clickhouse.closed_hours import ClosedHours
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.hours import (
    HOUR_MS,
    Closed,
    count_statement,
    counted_statement,
    hour_after,
    hour_of,
    lately_opened_statement,
    miscounted_statement,
    newest_other_statement,
    next_statement,
    uncount_statement,
)

log = structlog.get_logger(__name__)

LATE: Final = timedelta(minutes=30)
"""What happened so long before it is stored may belong to a closed hour."""

GRACE: Final = timedelta(minutes=45)
"""An hour is closed so long after its end. What is stored until then without asking, as it is not late, is in it: the
difference is more than an insert may take."""

QUIET: Final = timedelta(minutes=10)
"""For so long, nothing is counted from an hour on that was opened: the inserts for which it was have ended by then.
Half of it is for late rows that come after the first ones, the rest for the last of these inserts."""

_DAY_MS: Final = 24 * HOUR_MS

_AT_ONCE: Final = 1_000_000
"""Rows that are counted together, about: their groups are held in memory."""

_MS: Final = timedelta(milliseconds=1)


class HourKeeper:
    """Which hours are closed, and their counts, for who writes. `clock`: epoch seconds.

    Raises:
        UnavailableError: by every method; try again later.
    """

    def __init__(self, driver: Driver, clock: Callable[[], float]) -> None:
        self._driver = driver
        self._clock = clock
        self._closed = ClosedHours(driver, clock)
        self._opened = (0, 0)  # when, and from which hour on

    async def open_for(self, oldest: int) -> None:
        """Call this before rows are stored of which the oldest came into its status at this moment (epoch ms).

        Their hour is opened also if it is not closed: it may be counted just now.
        """
        at, hour = self._opened
        covered = hour <= oldest and self._now() < at + QUIET // 2 // _MS
        if oldest < self._now() - LATE // _MS and not covered:
            await self._open(await self._closed.now(), hour_of(oldest))

    async def open_all(self, after: int = 0) -> int:
        """Call this before rows are changed by other means; returns when it was (epoch ms), later than `after`."""
        closed = await self._closed.now()
        return await self._open(closed._replace(reopened=max(closed.reopened, after)), 0)

    async def check(self) -> int | None:
        """Open the hours again from the first that is not counted as its rows are; returns which (epoch ms)."""
        closed = await self._closed.now()
        for row in await self._driver.query(*miscounted_statement(closed)):
            await self._open(closed, row["hour"])
            return int(row["hour"])
        return None

    async def close_next(self) -> int:
        """Count the next hours that have ended, at most a day; returns how many: 0, none is left for now."""
        closed = await self._closed.now()
        (opened,) = await self._driver.query(*lately_opened_statement(self._now() - QUIET // _MS))
        ended = min(self._now() - GRACE // _MS, math.inf if opened["hour"] is None else opened["hour"])
        hours = []
        rows = 0
        for row in await self._driver.query(*next_statement(closed.until)):
            if rows < _AT_ONCE and row["hour"] + HOUR_MS <= ended:
                hours.append(row["hour"])
                rows += row["count"]
        if hours:
            end = hours[-1] + HOUR_MS
            await self._count(closed.until, end)  # hours between may have had rows
            await self._mark("UNTIL", closed.reopened, end)
        return len(hours)

    async def forget(self, until: int) -> None:
        """Call this before rows are dropped of executions that ended until this moment (epoch ms)."""
        since = hour_after(until + 1)
        await self._mark("SINCE", 0, since)
        await self._closed.outlast(0)
        end = since - since % _DAY_MS  # not each hour: it costs the same
        if await self._are_counted(0, end):
            await self._driver.maintain(*uncount_statement(0, end))

    async def _count(self, begin: int, end: int) -> None:
        counting = count_statement(begin, end, again=await self._are_counted(begin, end))
        await self._driver.maintain(*counting)

    async def _are_counted(self, begin: int, end: int) -> bool:
        (row,) = await self._driver.query(*counted_statement(begin, end))
        return bool(row["counted"])

    async def _open(self, closed: Closed, hour: int) -> int:
        if hour < closed.until:
            log.info("hours_opened_again", since=str(from_epoch_ms(hour)))
        begun, at, newest = self._now(), 0, closed.reopened
        while at <= newest:  # a mark that was overtaken on its way by a newer one would not be noticed
            at, mark = max(newest + 1, self._now()), randbits(64)
            await self._mark("OPENED", at, hour, mark)
            (other,) = await self._driver.query(*newest_other_statement(mark))
            newest = other["reopened"]
        await self._closed.outlast(hour)
        self._opened = begun, hour
        return at

    async def _mark(self, edge: str, reopened: int, moment: int, mark: int = 0) -> None:
        await self._driver.insert(
            "task_execution_hours_closed", ["edge", "reopened", "moment", "mark"], [(edge, reopened, moment, mark)]
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)
