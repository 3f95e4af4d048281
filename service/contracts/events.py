"""The domain events, past tense: what happened. Their CloudEvents type is the class name, their key the executionId.

Every event repeats the small identifying fields, so that a consumer of one need look nothing up.

They are structs, not models like the commands: a client's command is checked, all its errors at once; an event is
made by our own code, from what was checked, thousands of times a second (docs/adr/0014).
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from service.contracts.codec import decode
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, decode_hook, encode_hook

_encoder: Final = msgspec.json.Encoder(enc_hook=encode_hook)


class TaskExecutionEvent(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """What all events share. `sequence` counts 1, 2, 3 within an execution, without gaps."""

    execution_id: str
    sequence: Annotated[int, Meta(ge=1, le=255)]
    status: Annotated[Status, Meta(description="The status since this event.")]
    previous_status: Annotated[Status | None, Meta(description="Absent in TaskExecutionCreated.")] = None
    task_id: str
    task_version: str
    created_by: str
    created_at: Timestamp
    tags: tuple[str, ...]
    started_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    spark_application_id: str | None = None
    command_id: Annotated[
        str, Meta(description="UUIDv5 of the causing command's (source, id); Created: the executionId.")
    ]
    command_hash: Annotated[str, Meta(description="BLAKE2b-128 of the causing command's type and canonical payload.")]

    @property
    def at(self) -> Timestamp:
        """When it happened: the handler's clock, never earlier than the execution's previous event."""
        return self.completed_at or self.started_at or self.created_at


class TaskExecutionCreated(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """A new execution waits in `PENDING`, its inputs resolved."""

    resolved_inputs: dict[str, Any]


class TaskExecutionStarted(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It runs."""


class TaskExecutionSucceeded(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It ended well, with these outputs."""

    outputs: dict[str, Any]


class TaskExecutionFailed(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It ended badly; `errorMessage` says how."""

    error_message: str


class TaskExecutionStopped(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """Somebody ended it early."""

    requested_by: str
    reason: str | None = None


class TaskExecutionSkipped(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
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

EVENT_TYPES: Final[dict[str, type[Event]]] = {
    model.__name__: model
    for model in (
        TaskExecutionCreated, TaskExecutionStarted, TaskExecutionSucceeded,
        TaskExecutionFailed, TaskExecutionStopped, TaskExecutionSkipped,
    )
}  # fmt: skip
"""Every event by its CloudEvents type."""


def encode_event(event: Event) -> bytes:
    """The event as JSON; what is absent is left out, but nulls inside inputs and outputs are kept."""
    return _encoder.encode(event)


def read_event(type_: str, body: bytes) -> Event:
    """The event of this type from its JSON.

    Raises:
        KeyError: there is no such event.
        ValueError: the body is not strict JSON, or not such an event.
    """
    return msgspec.convert(decode(body), EVENT_TYPES[type_], dec_hook=decode_hook)
