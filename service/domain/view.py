"""The TaskExecution that readers see, made from what the write side or the events table knows."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict

from service.contracts.dependencies import Dependency
from service.contracts.events import TaskExecutionCreated, TaskExecutionEvent
from service.contracts.executions import Metadata, TaskExecution
from service.domain.execution import Execution

PAYLOADS: Final = (
    "resolved_inputs", "outputs", "error_message", "skip_reason", "not_before", "retry_of", "retried_by", "owner",
    "progress", "message",
)  # fmt: skip
"""What a record has from whichever event has it."""

CREATED: Final = ("resolved_inputs", "depends_on", "not_before", "retry_of", "attempt")
"""What a record has from the first event alone, and the write side does not remember."""


def view(events: Sequence[TaskExecutionEvent]) -> TaskExecution:
    """The whole record: the newest of one execution's events (in order) with the payloads of all of them."""
    return describe(events[-1], **payloads_of(events))


def payloads_of(events: Sequence[TaskExecutionEvent]) -> dict[str, Any]:
    """The payloads of all of these events, by their names."""
    payloads: dict[str, Any] = {}
    for event in events:
        for name in PAYLOADS:
            if (payload := getattr(event, name, None)) is not None:
                payloads[name] = payload
        if type(event) is TaskExecutionCreated and (event.depends_on or event.attempt > 1):
            payloads |= _placed(event)
    return payloads


def _placed(created: TaskExecutionCreated) -> dict[str, Any]:
    """Its place among others."""
    return {"depends_on": created.depends_on or None, "attempt": created.attempt if created.attempt > 1 else None}


def describe(known: Execution | TaskExecutionEvent, **payloads: Any) -> TaskExecution:  # noqa: ANN401 - JSON is any
    """The record as far as `known` goes, with the payloads at hand."""
    if (named := payloads.get("depends_on")) is not None:
        payloads["depends_on"] = tuple(Dependency(**asdict(one)) for one in named)
    return TaskExecution(
        id=known.execution_id,
        task_id=known.task_id,
        task_version=known.task_version,
        status=known.status,
        started_at=known.started_at,
        completed_at=known.completed_at,
        metadata=Metadata(
            created_at=known.created_at,
            created_by=known.created_by,
            spark_application_id=known.spark_application_id,
            tags=known.tags,
        ),
        **payloads,
    )
