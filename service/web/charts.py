"""Charts as data for inline SVG. Pure: the same data make the same chart.

Across, all is in percent of the width, so that a chart is as wide as its place and its words are not stretched.
Upright, all is in pixels; 0 is at the top.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from service.contracts.status import Status
from service.queries.answers import CountsByStatus

HEIGHT: Final = 150
"""Of the part where the data are."""

_TOP: Final = 14  # room for parts that are drawn larger than they are
_LEAST: Final = 2.0
"""What is there is seen: no part is lower than this."""

_MOST_TICKS: Final = 4
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_LENGTHS: Final = (
    *(digit * 10**power for power in range(3) for digit in (1, 2, 5)),
    *(count * _SECOND for count in (1, 2, 5, 10, 15, 30)), *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
)  # fmt: skip
"""Steps of a scale of milliseconds, up to a day."""

STACK: Final = (Status.FAILURE, Status.STOPPED, Status.SKIPPED, Status.SUCCESS, Status.RUNNING, Status.PENDING)
"""From the bottom up: failures stand on the ground, where they can be compared."""


class Tick(NamedTuple):
    """A line of the scale."""

    y: float
    label: str


class Label(NamedTuple):
    """Of the axis below: `x` in percent."""

    x: float
    text: str


class Part(NamedTuple):
    """How many are in a status: from `start`, so much of the bar."""

    status: Status
    number: int
    start: float
    size: float


class Column(NamedTuple):
    """A slot of time: `x` and `width` in percent."""

    x: float
    width: float
    parts: tuple[Part, ...]
    total: int


class Stacked(NamedTuple):
    """Columns, a slot each, by status."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Label, ...]


class Lines(NamedTuple):
    """By name, what an SVG path draws over a width of 100, with a gap where there is no value.

    `dots` are the points with gaps on both sides, of which a path draws nothing. `columns`: `x` and width of each slot.
    """

    paths: Mapping[str, str]
    dots: Mapping[str, tuple[tuple[float, float], ...]]
    columns: tuple[tuple[float, float], ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Label, ...]


def scale(most: float, *, of_time: bool = False) -> tuple[int, ...]:
    """Round numbers from 0 to `most` or just beyond, evenly apart; of time, they are milliseconds."""
    steps = (*_LENGTHS, *(digit * 10**power * _DAY for power in range(9) for digit in (1, 2, 5))) if of_time else ()
    step = next((step for step in steps if step * _MOST_TICKS >= most), None) or _step(most)
    ticks = [0]
    while ticks[-1] < most or len(ticks) == 1:
        ticks.append(ticks[-1] + step)
    return tuple(ticks)


def _step(most: float) -> int:
    power = 0
    while 5 * 10**power * _MOST_TICKS < most:
        power += 1
    unit: int = 10**power
    return next(digit * unit for digit in (1, 2, 5) if digit * unit * _MOST_TICKS >= most)


def length(milliseconds: int) -> str:
    """A round length of time in the largest unit that it is a whole number of."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size:,} {unit}"
    if milliseconds >= _SECOND:
        return f"{milliseconds / _SECOND:g} s"
    return f"{milliseconds} ms" if milliseconds else "0"


def stacked(slots: Sequence[CountsByStatus], names: Sequence[str]) -> Stacked:
    """A column for each slot, whose name stands below it if it has one."""
    counted = [{status: int(getattr(slot, status.lower())) for status in STACK} for slot in slots]
    ticks = scale(max((sum(counts.values()) for counts in counted), default=0))
    unit, width = (HEIGHT - _TOP) / ticks[-1], 100 / max(len(slots), 1)
    return Stacked(
        tuple(_column(counts, index * width, width, unit) for index, counts in enumerate(counted)),
        _ticks(ticks, "{:,}".format),
        _labels(names),
    )


def _column(counts: Mapping[Status, int], x: float, width: float, unit: float) -> Column:
    there = {status: count for status, count in counts.items() if count}
    heights = [max(count * unit, _LEAST) for count in there.values()]
    parts = (
        Part(status, count, round(HEIGHT - top, 2), round(height, 2))
        for (status, count), height, top in zip(there.items(), heights, accumulate(heights), strict=True)
    )
    gap = width * 0.14
    return Column(round(x + gap / 2, 3), round(width - gap, 3), tuple(parts), sum(there.values()))


def lines(series: Mapping[str, Sequence[int | None]], names: Sequence[str]) -> Lines:
    """A line for each series of milliseconds, over the middles of the slots; None is a gap."""
    most = max((value for values in series.values() for value in values if value is not None), default=0)
    ticks = scale(most, of_time=True)
    unit, width = (HEIGHT - _TOP) / ticks[-1], 100 / max(len(names), 1)
    points = {
        name: [
            None if value is None else (round((index + 0.5) * width, 3), round(HEIGHT - value * unit, 2))
            for index, value in enumerate(values)
        ]
        for name, values in series.items()
    }
    return Lines(
        {name: _path(found) for name, found in points.items()},
        {name: _alone(found) for name, found in points.items()},
        tuple((round(index * width, 3), round(width, 3)) for index in range(len(names))),
        _ticks(ticks, length),
        _labels(names),
    )


_Points = Sequence[tuple[float, float] | None]


def _alone(points: _Points) -> tuple[tuple[float, float], ...]:
    beside = zip([None, *points], points, [*points[1:], None], strict=False)
    return tuple(point for before, point, after in beside if point and not before and not after)


def _path(points: _Points) -> str:
    before = [None, *points]
    return " ".join(
        f"{'L' if last else 'M'}{point[0]:g} {point[1]:g}"
        for last, point in zip(before, points, strict=False)
        if point is not None
    )


def shares(counts: CountsByStatus) -> tuple[Part, ...]:
    """How a whole is made up, along a bar: in percent, from the left."""
    there = {status: count for status in STACK if (count := int(getattr(counts, status.lower())))}
    total = sum(there.values())
    sizes = [100 * count / total for count in there.values()]
    return tuple(
        Part(status, count, round(end - size, 3), round(size, 3))
        for (status, count), size, end in zip(there.items(), sizes, accumulate(sizes), strict=True)
    )


def _ticks(values: Sequence[int], word: Callable[[int], str]) -> tuple[Tick, ...]:
    unit = (HEIGHT - _TOP) / values[-1]
    return tuple(Tick(round(HEIGHT - value * unit, 2), word(value)) for value in values)


def _labels(names: Sequence[str]) -> tuple[Label, ...]:
    width = 100 / max(len(names), 1)
    return tuple(Label(round((index + 0.5) * width, 3), name) for index, name in enumerate(names) if name)
