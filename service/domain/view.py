"""The TaskExecution that readers see, made from what the write side or the events table knows."""

from collections.abc import Sequence
from typing import Any, assert_never

from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionEvent,
    TaskExecutionFailed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.executions import Metadata, TaskExecution
from service.domain.execution import Execution


def view(events: Sequence[Event]) -> TaskExecution:
    """The whole record: the newest of one execution's events (in order) with the payloads of all of them."""
    payloads: dict[str, Any] = {}
    for event in events:
        match event:
            case TaskExecutionCreated():
                payloads["resolved_inputs"] = event.resolved_inputs
            case TaskExecutionSucceeded():
                payloads["outputs"] = event.outputs
            case TaskExecutionFailed():
                payloads["error_message"] = event.error_message
            case TaskExecutionSkipped():
                payloads["skip_reason"] = event.skip_reason
            case TaskExecutionStarted() | TaskExecutionStopped():
                pass
            case _:
                assert_never(event)
    return describe(events[-1], **payloads)


def describe(known: Execution | TaskExecutionEvent, **payloads: Any) -> TaskExecution:  # noqa: ANN401 - JSON is any
    """The record as far as `known` goes, with the payloads at hand."""
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
