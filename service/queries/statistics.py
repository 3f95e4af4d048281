"""Counts, rates and times of executions, of all that fit and of groups of them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from service.contracts.status import Status
from service.ports.filters import CreationFilters
from service.ports.read_model import TIMES_ERROR, Counts, Grouping, GroupOrder, ReadModel, Times
from service.queries.answers import Percentiles, TaskExecutionGroup, TaskExecutionStats
from service.queries.freshness import Freshness
from service.queries.requests import GetTaskExecutionStats


class FailingTasks(NamedTuple):
    """The tasks with most failures, with their times; and how many tasks have any."""

    groups: tuple[TaskExecutionGroup, ...]
    task_count: int


class _Groups(NamedTuple):
    """Those to list, in their order, and whether they are all there are; how many fit, and the counts of all."""

    listed: Mapping[str, Counts]
    are_all: bool
    fitting: int
    overall: Counts


async def stats_of(read_model: ReadModel, request: GetTaskExecutionStats, fresh: Freshness) -> TaskExecutionStats:
    """What was asked for.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    filters = CreationFilters(**{name: getattr(request, name) for name in CreationFilters.model_fields})
    if request.group_by is Grouping.TASK_ID:  # of those that are not listed, no times are wanted
        groups = await _groups(read_model, request, Grouping.TASK_ID, filters)
        took = await _times(read_model, request, filters, groups)
    else:
        groups, took = await asyncio.gather(
            _groups(read_model, request, request.group_by, filters), _times(read_model, request, filters)
        )
    return TaskExecutionStats(
        task_id=filters.task_id,
        groups=None if request.group_by is None else _told(groups.listed, took),
        group_count=None if request.group_by is None else groups.fitting,
        times_error=(0.0 if request.exact else TIMES_ERROR) if request.times else None,
        **status_counts(groups.overall, took.get("")),
        **asdict(fresh),
    )


async def failing_tasks(read_model: ReadModel, filters: CreationFilters, limit: int) -> FailingTasks:
    """The `limit` tasks with most failures that fit.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    count, tasks = await read_model.failing_tasks(filters, limit)
    counts, took = await asyncio.gather(
        read_model.counts(filters, Grouping.TASK_ID, tasks=tasks),
        read_model.times(filters, Grouping.TASK_ID, tasks=tasks),
    )
    return FailingTasks(_told(_largest(counts, GroupOrder.FAILURE, limit, counts), took), count)


async def _groups(
    read_model: ReadModel, request: GetTaskExecutionStats, by: Grouping | None, filters: CreationFilters
) -> _Groups:
    text, limit, order = request.group_text or "", request.limit, request.sort
    failing = order is GroupOrder.FAILURE
    if failing and by is Grouping.TASK_ID:  # few rows say which they are, and few are counted then
        count, tasks = await read_model.failing_tasks(filters, limit, text)
        counts, of_all = await asyncio.gather(read_model.counts(filters, by, tasks=tasks), read_model.counts(filters))
        listed = _largest(counts, order, limit, counts)
        return _Groups(listed, are_all=False, fitting=count, overall=of_all[""])
    counts = await read_model.counts(filters, by)
    keys = [key for key in counts if text.casefold() in key.casefold()]
    if failing:
        keys = [key for key in keys if counts[key][Status.FAILURE]]
    overall = {status: sum(each[status] for each in counts.values()) for status in Status}
    listed = _largest(counts, order, limit, keys)
    return _Groups(listed, len(listed) == len(counts), len(keys), overall)


def _largest(
    counts: Mapping[str, Counts], order: GroupOrder, limit: int | None, keys: Iterable[str]
) -> Mapping[str, Counts]:
    """The groups to list, in the order that is wanted."""

    def size(key: str) -> tuple[int, str]:
        if order is GroupOrder.FAILURE:
            return -counts[key][Status.FAILURE], key
        return -sum(counts[key].values()), key

    largest = sorted(keys, key=size)[:limit]
    return {key: counts[key] for key in (sorted(largest) if order is GroupOrder.KEY else largest)}


async def _times(
    read_model: ReadModel, request: GetTaskExecutionStats, filters: CreationFilters, groups: _Groups | None = None
) -> Mapping[str, Times]:
    """By the keys of the groups, or of those to list, and of all."""
    by, exact = request.group_by, request.exact
    if not request.times:
        return {}
    if groups is None or groups.are_all:
        return await read_model.times(filters, by, exact=exact)
    some, of_all = await asyncio.gather(
        read_model.times(filters, by, exact=exact, tasks=[*groups.listed]), read_model.times(filters, exact=exact)
    )
    return {**some, **of_all}


def _told(groups: Mapping[str, Counts], took: Mapping[str, Times]) -> tuple[TaskExecutionGroup, ...]:
    return tuple(TaskExecutionGroup(key=key, **status_counts(counts, took.get(key))) for key, counts in groups.items())


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
