"""How executions fared over time, as charts and as a table. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from service.contracts.timestamps import Timestamp
from service.queries.answers import StatusCounts, TaskExecutionStats
from service.web.charts import Lines, Stacked, lines, stacked
from service.web.links import link
from service.web.periods import Slots

_NONE: Final = StatusCounts(pending=0, running=0, success=0, failure=0, stopped=0, skipped=0, total=0)


class Row(NamedTuple):
    """A slot: what it is called, where its executions are listed, and what they came to."""

    name: str
    href: str
    counts: StatusCounts


class Trend(NamedTuple):
    """Slot by slot; those of which nothing is told have zeros."""

    rows: tuple[Row, ...]
    counts: Stacked
    run_times: Lines
    queue_times: Lines


def trend_of(stats: TaskExecutionStats, slots: Slots, task_id: str | None = None) -> Trend:
    """What the groups say of the slots that they were made by."""
    groups: Mapping[str, StatusCounts] = {group.key: group for group in stats.groups or ()}
    rows = tuple(
        Row(
            slots.name(begin),
            link("/executions", task_id=task_id, created_from=begin, created_to=Timestamp.of(begin + slots.step)),
            groups.get(f"{begin:%Y-%m-%dT%H:%M:%SZ}", _NONE),
        )
        for begin in slots.begins
    )
    labels = [slots.label(begin) for begin in slots.begins]
    counts = [row.counts for row in rows]

    def times(kind: str) -> Lines:
        percentiles = [getattr(one, kind) for one in counts]
        return lines(
            {level: [each and getattr(each, level) for each in percentiles] for level in ("p50", "p95")}, labels
        )

    return Trend(rows, stacked(counts, labels), times("run_time"), times("queue_time"))
