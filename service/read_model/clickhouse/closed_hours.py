"""Keeps count of the hours that have ended, and reads answers so that each row is in them once (docs/adr/0033)."""

import math
from collections.abc import Callable
from datetime import timedelta
from secrets import randbits
from typing import Final

import structlog

from service.contracts.timestamps import from_epoch_ms
from service.read_model.clickhouse.driver import Driver, Row
from service.read_model.clickhouse.hours import (
    CHANGED,
    CLOSED,
    HOUR_MS,
    UNTIL,
    Closed,
    count_statement,
    counted_statement,
    hour_after,
    hour_of,
    lately_opened_statement,
    miscounted_statement,
    next_statement,
    uncount_statement,
)
from service.read_model.clickhouse.statements import Statement

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

_LATELY_SECONDS: Final = 60.0

_AT_ONCE: Final = 1_000_000
"""Rows that are counted together, about: their groups are held in memory."""

_MS: Final = timedelta(milliseconds=1)


class ClosedHours:
    """The counts of closed hours, beside the transitions. `clock`: epoch seconds.

    Raises:
        UnavailableError: by every method; try again later.
    """

    def __init__(self, driver: Driver, clock: Callable[[], float]) -> None:
        self._driver = driver
        self._clock = clock
        self._known = (float("-inf"), Closed())
        self._opened = (0, 0)  # when, and from which hour on

    async def read(self, statement: Callable[[Closed], Statement]) -> list[Row]:
        """The rows of a statement about the hours that are closed and the rows of the others.

        Until an hour is opened again, its counts stay: so an old knowledge of what is closed serves as well as a new
        one. Whether one was opened meanwhile is asked afterwards: before a late row is stored, its hour is opened.
        """
        closed = await self._lately_closed()
        while True:
            asked = statement(closed)
            rows = await self._rows(asked)
            if UNTIL not in asked.parameters or await self._is_still(closed):
                return rows
            closed = await self._closed()

    async def open_for(self, oldest: int) -> None:
        """Call this before rows are stored of which the oldest came into its status at this moment (epoch ms).

        Their hour is opened also if it is not closed: it may be counted just now.
        """
        at, hour = self._opened
        covered = hour <= oldest and self._now() < at + QUIET // 2 // _MS
        if oldest < self._now() - LATE // _MS and not covered:
            await self._open(await self._closed(), hour_of(oldest))

    async def open_all(self) -> None:
        """Call this before rows are changed by other means."""
        await self._open(await self._closed(), 0)

    async def check(self) -> int | None:
        """Open the hours again from the first that is not counted as its rows are; returns which (epoch ms)."""
        closed = await self._closed()
        for row in await self._rows(miscounted_statement(closed)):
            await self._open(closed, row["hour"])
            return int(row["hour"])
        return None

    async def close_next(self) -> int:
        """Count the next hours that have ended, at most a day; returns how many: 0, none is left for now."""
        closed = await self._closed()
        (opened,) = await self._rows(lately_opened_statement(self._now() - QUIET // _MS))
        ended = min(self._now() - GRACE // _MS, math.inf if opened["hour"] is None else opened["hour"])
        hours = []
        rows = 0
        for row in await self._rows(next_statement(closed.until)):
            if rows < _AT_ONCE and row["hour"] + HOUR_MS <= ended:
                hours.append(row["hour"])
                rows += row["count"]
        if hours:
            begin, end = hours[0], hours[-1] + HOUR_MS
            await self._count(begin, end)
            await self._mark("UNTIL", closed.reopened, end)
        return len(hours)

    async def forget(self, until: int) -> None:
        """Call this before rows are dropped of executions that ended until this moment (epoch ms)."""
        since = hour_after(until + 1)
        await self._mark("SINCE", 0, since)
        end = since - since % _DAY_MS  # not each hour: it costs the same
        if await self._are_counted(0, end):
            await self._driver.maintain(uncount_statement(0, end).sql)

    async def _count(self, begin: int, end: int) -> None:
        counting = count_statement(begin, end, again=await self._are_counted(begin, end))
        await self._driver.maintain(counting.sql, counting.parameters)

    async def _are_counted(self, begin: int, end: int) -> bool:
        (row,) = await self._rows(counted_statement(begin, end))
        return bool(row["counted"])

    async def _open(self, closed: Closed, hour: int) -> None:
        if hour < closed.until:
            log.info("hours_opened_again", since=str(from_epoch_ms(hour)))
        at = max(closed.reopened + 1, self._now())
        await self._mark("OPENED", at, hour, randbits(64))
        self._opened = at, hour

    async def _mark(self, edge: str, reopened: int, moment: int, mark: int = 0) -> None:
        await self._driver.insert(
            "task_execution_hours_closed", ["edge", "reopened", "moment", "mark"], [(edge, reopened, moment, mark)]
        )

    async def _rows(self, statement: Statement) -> list[Row]:
        return await self._driver.query(statement.sql, statement.parameters)

    async def _is_still(self, closed: Closed) -> bool:
        return await self._driver.query(CHANGED) == [{"reopened": closed.reopened, "since": closed.since}]

    async def _lately_closed(self) -> Closed:
        at, closed = self._known
        return closed if self._clock() < at + _LATELY_SECONDS else await self._closed()

    async def _closed(self) -> Closed:
        at = self._clock()
        (row,) = await self._driver.query(CLOSED)
        self._known = at, Closed(**row)
        return self._known[1]

    def _now(self) -> int:
        return int(self._clock() * 1000)
