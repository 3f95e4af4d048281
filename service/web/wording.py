"""How values are written on the pages."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup, escape

from service.contracts.timestamps import Timestamp
from service.queries.projection import is_stalled
from service.web.charts import shares

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def moment(time: datetime) -> str:
    """The time to the second, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(time: datetime) -> str:
    """The time as programs read it: the `datetime` of a `time` element."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(length: timedelta | float) -> str:
    """A length of time in its two largest units; a number is of milliseconds."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length / 1_000
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    for size, unit in _UNITS:
        if seconds >= size:
            rest, below = seconds % size, {86_400: (3_600, "h"), 3_600: (60, "min"), 60: (1, "s")}[size]
            return f"{seconds // size:.0f} {unit} {rest // below[0]:.0f} {below[1]}"
    raise AssertionError(seconds)


def age(time: datetime) -> str:
    """How long ago it was, in its largest unit."""
    seconds = (datetime.now(UTC) - time).total_seconds()
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def stalled(as_of: Timestamp) -> bool:
    """Whether what is shown lacks what came since."""
    return is_stalled(as_of, Timestamp.now(UTC))


def number(value: int) -> str:
    """A count with thousands apart."""
    return f"{value:,}"


def percent(share: float) -> str:
    """A share of 1; what is not all is never written as 100 %."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"


def breaks(name: str) -> Markup:
    """An id with places where it may be broken, which nobody sees or copies."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[:_./-])", name))


FILTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "moment": moment, "rfc3339": rfc3339, "duration": duration, "age": age, "number": number, "percent": percent,
    "shares": shares, "breaks": breaks, "stalled": stalled,
}  # fmt: skip
"""By their names in templates."""
