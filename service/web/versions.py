"""How the versions of a task compare. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from service.definitions.ordering import newest_last
from service.queries.answers import StatusCounts, TaskExecutionGroup


class Compared(NamedTuple):
    """A version: its bar in percent of the slowest one's, and how much slower it is than the one before, if known.

    `slower` is a share: 0.5 is half as slow again, -0.5 twice as fast.
    """

    version: str
    counts: StatusCounts
    bar: float
    slower: float | None


def compared(groups: Iterable[TaskExecutionGroup]) -> list[Compared]:
    """By the p95 of run times; the newest version first."""
    newest_first = sorted(groups, key=lambda one: newest_last(one.key), reverse=True)
    most = max((one.run_time.p95 for one in newest_first if one.run_time), default=0) or 1
    older = [*newest_first[1:], None]
    return [
        Compared(one.key, one, round(100 * one.run_time.p95 / most, 2) if one.run_time else 0, _slower(one, before))
        for one, before in zip(newest_first, older, strict=False)
    ]


def _slower(one: StatusCounts, before: StatusCounts | None) -> float | None:
    if before is None or one.run_time is None or before.run_time is None or not before.run_time.p95:
        return None
    return one.run_time.p95 / before.run_time.p95 - 1
