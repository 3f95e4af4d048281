"""Failures, grouped by what their error messages have in common."""

from dataclasses import asdict
from typing import Final

from service.contracts.timestamps import from_epoch_ms
from service.ports.filters import EndFilters
from service.ports.read_model import ReadModel
from service.queries.answers import TaskExecutionFailureGroup, TaskExecutionFailures
from service.queries.freshness import Freshness
from service.queries.payloads import whole
from service.queries.requests import GetTaskExecutionFailures

_SHOWN: Final = 4_096
"""Characters of an example: enough for a stack trace, and a thousand of them still make an answer."""


async def failure_groups(
    read_model: ReadModel, request: GetTaskExecutionFailures, fresh: Freshness
) -> TaskExecutionFailures:
    """What `GetTaskExecutionFailures` asks for. Where the retention of an example has ended since, it has no message.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    filters = EndFilters(**{name: getattr(request, name) for name in EndFilters.model_fields})
    found = await read_model.failures(filters, request.limit)
    newest = await whole([group.newest for group in found.largest], read_model)
    messages = {one.id: one.error_message for one in newest}
    items = []
    for group in found.largest:
        message = messages.get(group.newest.execution_id)
        items.append(
            TaskExecutionFailureGroup(
                fingerprint=group.fingerprint,
                count=group.count,
                tasks=tuple(group.tasks),
                task_count=group.task_count,
                first_seen=from_epoch_ms(group.first_ms),
                last_seen=from_epoch_ms(group.last_ms),
                execution_id=group.newest.execution_id,
                error_message=message and message[:_SHOWN],
            )
        )
    return TaskExecutionFailures(items=tuple(items), total=found.total, group_count=found.groups, **asdict(fresh))
