"""Counts, rates and times of executions, of all that fit and of groups of them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from service.contracts.status import Status
from service.ports.filters import CreationFilters
from service.ports.read_model import TIMES_ERROR, Counts, Grouping, GroupOrder, ReadModel, Times
from service.queries.answers import Percentiles, TaskExecutionGroup, TaskExecutionStats
from service.queries.freshness import Freshness
from service.queries.requests import GetTaskExecutionStats

_NAMES: Final = [(status, status.lower()) for status in Status]


class FailingTasks(NamedTuple):
    """The tasks with most failures, with their times; and how many tasks have any."""

    groups: tuple[TaskExecutionGroup, ...]
    task_count: int


class _Groups(NamedTuple):
    """Those to list, in their order, and how many fit; the counts of all, and by key, of all under "", their times."""

    listed: Mapping[str, Counts]
    fitting: int
    overall: Counts
    took: Mapping[str, Times]


async def stats_of(read_model: ReadModel, request: GetTaskExecutionStats, fresh: Freshness) -> TaskExecutionStats:
    """What was asked for.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    filters = CreationFilters(**{name: getattr(request, name) for name in CreationFilters.model_fields})
    by_task = request.group_by is Grouping.TASK_ID
    groups = await (_first_tasks if by_task else _all_groups)(read_model, request, filters)
    return TaskExecutionStats(
        task_id=filters.task_id,
        groups=None if request.group_by is None else _told(groups.listed, groups.took),
        group_count=None if request.group_by is None else groups.fitting,
        times_error=(0.0 if request.exact else TIMES_ERROR) if request.times else None,
        **status_counts(groups.overall, groups.took.get("")),
        **asdict(fresh),
    )


async def failing_tasks(read_model: ReadModel, filters: CreationFilters, limit: int) -> FailingTasks:
    """The `limit` tasks with most failures that fit.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    count, tasks = await read_model.first_tasks(filters, GroupOrder.FAILURE, limit)
    counts, took = await asyncio.gather(
        read_model.counts(filters, Grouping.TASK_ID, tasks=tasks),
        read_model.times(filters, Grouping.TASK_ID, tasks=tasks),
    )
    return FailingTasks(_told(_largest(counts, GroupOrder.FAILURE, limit, counts), took), count)


async def _first_tasks(read_model: ReadModel, request: GetTaskExecutionStats, filters: CreationFilters) -> _Groups:
    """There may be very many: a row of each execution says which are listed, and only those are counted."""
    by, order, limit = Grouping.TASK_ID, request.sort, request.limit
    count, tasks = await read_model.first_tasks(filters, order, limit, request.group_text or "")
    counts, overall, some, of_all = await asyncio.gather(
        read_model.counts(filters, by, tasks=tasks),
        read_model.counts(filters),
        _times(read_model, request, filters, by, tasks),
        _times(read_model, request, filters),
    )
    return _Groups(_largest(counts, order, limit, counts), count, overall[""], {**some, **of_all})


async def _all_groups(read_model: ReadModel, request: GetTaskExecutionStats, filters: CreationFilters) -> _Groups:
    by, order, text = request.group_by, request.sort, request.group_text or ""
    counts, took = await asyncio.gather(read_model.counts(filters, by), _times(read_model, request, filters, by))
    keys = [key for key in counts if text.casefold() in key.casefold()]
    if order is GroupOrder.FAILURE:
        keys = [key for key in keys if counts[key][Status.FAILURE]]
    overall = {status: sum(each[status] for each in counts.values()) for status in Status}
    return _Groups(_largest(counts, order, request.limit, keys), len(keys), overall, took)


def _largest(counts: Mapping[str, Counts], order: GroupOrder, limit: int, keys: Iterable[str]) -> Mapping[str, Counts]:
    """The groups to list, in the order that is wanted."""

    def size(key: str) -> tuple[int, str]:
        if order is GroupOrder.FAILURE:
            return -counts[key][Status.FAILURE], key
        return -sum(counts[key].values()), key

    largest = sorted(keys, key=size)[:limit]
    return {key: counts[key] for key in (sorted(largest) if order is GroupOrder.KEY else largest)}


async def _times(
    read_model: ReadModel,
    request: GetTaskExecutionStats,
    filters: CreationFilters,
    by: Grouping | None = None,
    tasks: Sequence[str] | None = None,
) -> Mapping[str, Times]:
    """If they are wanted."""
    return await read_model.times(filters, by, exact=request.exact, tasks=tasks) if request.times else {}


def _told(groups: Mapping[str, Counts], took: Mapping[str, Times]) -> tuple[TaskExecutionGroup, ...]:
    return tuple(TaskExecutionGroup(key=key, **status_counts(counts, took.get(key))) for key, counts in groups.items())


def status_counts(counts: Counts, took: Times | None = None) -> dict[str, Any]:
    """The fields of `StatusCounts`."""
    ended = counts[Status.SUCCESS] + counts[Status.FAILURE]
    fields: dict[str, Any] = {name: counts[status] for status, name in _NAMES}
    fields["total"] = sum(counts.values())
    fields["success_rate"] = counts[Status.SUCCESS] / ended if ended else None
    if took is not None:
        fields["queue_time"] = took.queue and Percentiles(**took.queue._asdict())
        fields["run_time"] = took.run and Percentiles(**took.run._asdict())
    return fields
