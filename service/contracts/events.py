"""The domain events, past tense: what happened. Their CloudEvents type is the class name, their key the executionId.

Every event repeats the small identifying fields, so that a consumer of one need look nothing up.
"""

from typing import Any, Final

from pydantic import Field

from service.contracts.model import Contract, Timestamp
from service.contracts.status import Status


class TaskExecutionEvent(Contract):
    """What all events share. `sequence` counts 1, 2, 3 within an execution, without gaps."""

    execution_id: str
    sequence: int
    status: Status = Field(description="The status since this event.")
    previous_status: Status | None = Field(default=None, description="Absent in TaskExecutionCreated.")
    task_id: str
    task_version: str
    created_by: str
    created_at: Timestamp
    tags: tuple[str, ...] = ()
    started_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    spark_application_id: str | None = None
    command_id: str = Field(description="UUIDv5 of the causing command's (source, id); Created: the executionId.")
    command_hash: str = Field(description="BLAKE2b-128 of the causing command's type and canonical payload.")

    @property
    def at(self) -> Timestamp:
        """When it happened: the handler's clock, never earlier than the execution's previous event."""
        return self.completed_at or self.started_at or self.created_at


class TaskExecutionCreated(TaskExecutionEvent):
    """A new execution waits in `PENDING`, its inputs resolved."""

    resolved_inputs: dict[str, Any]


class TaskExecutionStarted(TaskExecutionEvent):
    """It runs."""


class TaskExecutionSucceeded(TaskExecutionEvent):
    """It ended well, with these outputs."""

    outputs: dict[str, Any]


class TaskExecutionFailed(TaskExecutionEvent):
    """It ended badly; `errorMessage` says how."""

    error_message: str


class TaskExecutionStopped(TaskExecutionEvent):
    """Somebody ended it early."""

    requested_by: str
    reason: str | None = None


class TaskExecutionSkipped(TaskExecutionEvent):
    """It never ran; `skipReason` says why, e.g. `upstream_failed: collect_data`."""

    skip_reason: str


Event = (
    TaskExecutionCreated
    | TaskExecutionStarted
    | TaskExecutionSucceeded
    | TaskExecutionFailed
    | TaskExecutionStopped
    | TaskExecutionSkipped
)

EVENTS: Final[dict[str, type[Event]]] = {
    model.__name__: model
    for model in (
        TaskExecutionCreated, TaskExecutionStarted, TaskExecutionSucceeded,
        TaskExecutionFailed, TaskExecutionStopped, TaskExecutionSkipped,
    )
}  # fmt: skip
"""Every event by its CloudEvents type."""
