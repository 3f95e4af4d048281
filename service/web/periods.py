"""The stretch of time that a page looks at, in slots: minutes, hours or days that begin where the clock says."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import Field

from service.contracts.model import Contract
from service.contracts.timestamps import Timestamp
from service.ports.read_model import Grouping


class Period(StrEnum):
    """How far back a page looks."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


class OfPeriod(Contract):
    """The query of a page that has a choice of periods."""

    period: Period = Field(default=Period.DAY, description="How far back.")


_SLOTS: Final = {
    Period.HOUR: (Grouping.MINUTE, timedelta(minutes=1), 60),
    Period.DAY: (Grouping.HOUR, timedelta(hours=1), 24),
    Period.WEEK: (Grouping.HOUR, timedelta(hours=1), 7 * 24),
    Period.MONTH: (Grouping.DAY, timedelta(days=1), 30),
}


class Slots(NamedTuple):
    """So many whole slots, and the one that is not over yet; what is counted since `begin` is the sum of them."""

    period: Period
    grouping: Grouping
    step: timedelta
    begins: tuple[Timestamp, ...]

    @property
    def begin(self) -> Timestamp:
        """Of the first one."""
        return self.begins[0]

    def label(self, begin: datetime) -> str:
        """What a slot is called on an axis, where only round ones are: empty for all others."""
        match self.period:
            case Period.HOUR:
                return "" if begin.minute % 10 else f"{begin:%H:%M}"
            case Period.DAY:
                return "" if begin.hour % 4 else f"{begin:%H:%M}"
            case Period.WEEK:
                return "" if begin.hour else f"{begin:%b} {begin.day}"
            case Period.MONTH:
                return "" if begin.toordinal() % 5 else f"{begin:%b} {begin.day}"

    def name(self, begin: datetime) -> str:
        """What a slot is called where it stands alone."""
        if self.grouping is Grouping.DAY:
            return f"{begin:%Y-%m-%d}"
        return f"{begin:%Y-%m-%d %H:%M} to {begin + self.step:%H:%M}"


def slots_of(period: Period, now: datetime) -> Slots:
    """The slots up to now, in UTC."""
    grouping, step, count = _SLOTS[period]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    last = epoch + (now - epoch) // step * step
    return Slots(period, grouping, step, tuple(Timestamp.of(last - ago * step) for ago in range(count, -1, -1)))
