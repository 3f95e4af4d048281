"""Counts, rates and times of executions, of all that fit and of groups of them."""

from dataclasses import asdict
from typing import Any, Final

from service.contracts.status import Status
from service.ports.filters import CreationFilters
from service.ports.read_model import TIMES_ERROR, Counts, ReadModel, Times
from service.queries.answers import Percentiles, TaskExecutionGroup, TaskExecutionStats
from service.queries.freshness import Freshness
from service.queries.requests import GetTaskExecutionStats

MAX_GROUPS: Final = 1_000


async def stats_of(read_model: ReadModel, request: GetTaskExecutionStats, fresh: Freshness) -> TaskExecutionStats:
    """What was asked for.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    filters = CreationFilters(**{name: getattr(request, name) for name in CreationFilters.model_fields})
    by, exact = request.group_by, request.exact
    counts = await read_model.counts(filters, by)
    took = await read_model.times(filters, by, exact=exact) if request.times else {}
    overall, groups = counts, None
    if by is not None:
        overall = {"": {status: sum(each[status] for each in counts.values()) for status in Status}}
        largest = sorted(counts, key=lambda key: -sum(counts[key].values()))[:MAX_GROUPS]
        groups = tuple(
            TaskExecutionGroup(key=key, **status_counts(counts[key], took.get(key))) for key in sorted(largest)
        )
    return TaskExecutionStats(
        task_id=filters.task_id,
        groups=groups,
        times_error=(0.0 if exact else TIMES_ERROR) if request.times else None,
        **status_counts(overall[""], took.get("")),
        **asdict(fresh),
    )


def status_counts(counts: Counts, took: Times | None = None) -> dict[str, Any]:
    """The fields of `StatusCounts`."""
    ended = counts[Status.SUCCESS] + counts[Status.FAILURE]
    fields: dict[str, Any] = {status.lower(): counts[status] for status in Status}
    fields["total"] = sum(counts.values())
    fields["success_rate"] = counts[Status.SUCCESS] / ended if ended else None
    if took is not None:
        fields["queue_time"] = took.queue and Percentiles(**took.queue._asdict())
        fields["run_time"] = took.run and Percentiles(**took.run._asdict())
    return fields
