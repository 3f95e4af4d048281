"""The domain events, past tense: what happened. Their CloudEvents type is the class name, their key the executionId.

Every event repeats the small identifying fields, so that a consumer of one need look nothing up.

They grow by new types and new optional fields, which a reader that does not know them leaves alone. `schemaVersion` is
raised only where an older reader would understand something wrong; every later one still reads it (`_upcast`).

They are structs, not models like the commands: a client's command is checked, all its errors at once; an event is
made by our own code, from what was checked, thousands of times a second (docs/adr/0014).
"""

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from pydantic import JsonValue

from service.contracts.codec import decode
from service.contracts.plain_text import encode_hook
from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, decode_hook

SCHEMA_VERSION: Final = 2
"""What is written. Version 1 had neither `schemaVersion` nor `occurredAt`."""

_encoder: Final = msgspec.json.Encoder(enc_hook=encode_hook)


class TaskExecutionEvent(
    Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename="camel",
    omit_defaults=True,
    tag_field="schemaVersion",
    tag=SCHEMA_VERSION,
):
    """What all events share. `sequence` counts 1, 2, 3 within an execution, without gaps."""

    execution_id: str
    sequence: Annotated[int, Meta(ge=1)]
    occurred_at: Annotated[
        Timestamp, Meta(description="By the handler's clock; never earlier than the execution's previous event.")
    ]
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
    command_hash: Annotated[
        str,
        Meta(description="BLAKE2b-128 of the causing command's type and canonical payload, less its sensitive values."),
    ]


class Dependency(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """An execution that must be `SUCCESS` before this one can start; with a `condition`, that output must be true."""

    execution_id: str
    node: str
    condition: str | None = None


class Retry(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """How often, and after which wait, what failed is tried again (see ExecuteTask)."""

    max_attempts: int
    delay: timedelta = timedelta(0)
    backoff: float = 1.0


class TaskExecutionCreated(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """A new execution waits in `PENDING`, its inputs resolved."""

    resolved_inputs: dict[str, Any]
    sensitive: Annotated[
        Sensitive | None, Meta(description="Absent if none is: the variables whose values are sealed, or withheld.")
    ] = None
    depends_on: tuple[Dependency, ...] = ()
    not_before: Annotated[Timestamp | None, Meta(description="It cannot start earlier.")] = None
    start_timeout: Annotated[timedelta | None, Meta(description="By its definition; it is stopped then.")] = None
    run_timeout: Annotated[timedelta | None, Meta(description="By its definition; it fails then.")] = None
    retry: Annotated[Retry | None, Meta(description="What becomes of it if it fails.")] = None
    retry_of: Annotated[str | None, Meta(description="The executionId of the first attempt.")] = None
    attempt: Annotated[int, Meta(description="Counts 1, 2, 3.")] = 1


class TaskExecutionReady(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It had to wait, and can start now; it is still `PENDING`. One that need not wait is ready when it is created."""


class TaskExecutionStarted(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It runs; if a worker claimed it, with its owner and lease."""

    owner: str | None = None
    lease: timedelta | None = None


class TaskExecutionProgressed(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """Its owner tells how far it is, or which Spark application runs it; it is still `RUNNING`."""

    progress: Annotated[float | None, Meta(description="From 0 to 1.")] = None
    message: str | None = None


class TaskExecutionSucceeded(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It ended well, with these outputs."""

    outputs: dict[str, Any]


class TaskExecutionFailed(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It ended badly; `errorMessage` says how."""

    error_message: str
    retried_by: Annotated[str | None, Meta(description="The next attempt, if it is tried again.")] = None


class TaskExecutionStopped(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """Somebody ended it early."""

    requested_by: str
    reason: str | None = None


class TaskExecutionSkipped(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """It never ran; `skipReason` says why, e.g. `upstream_failed: collect_data`."""

    skip_reason: str


class UnknownEvent(TaskExecutionEvent, frozen=True, kw_only=True, gc=False):
    """What an event of a later type shares with all, and the payloads that it has under the names of today."""

    resolved_inputs: dict[str, Any] | None = None
    sensitive: Sensitive | None = None
    outputs: dict[str, Any] | None = None
    error_message: str | None = None
    skip_reason: str | None = None


Event = (
    TaskExecutionCreated
    | TaskExecutionReady
    | TaskExecutionStarted
    | TaskExecutionProgressed
    | TaskExecutionSucceeded
    | TaskExecutionFailed
    | TaskExecutionStopped
    | TaskExecutionSkipped
)

AnyEvent = Event | UnknownEvent

EVENT_TYPES: Final[dict[str, type[Event]]] = {
    model.__name__: model
    for model in (
        TaskExecutionCreated, TaskExecutionReady, TaskExecutionStarted, TaskExecutionProgressed, TaskExecutionSucceeded,
        TaskExecutionFailed, TaskExecutionStopped, TaskExecutionSkipped,
    )
}  # fmt: skip
"""Every event by its CloudEvents type."""

_decoders: Final[dict[type[AnyEvent], msgspec.json.Decoder[AnyEvent]]] = {
    kind: msgspec.json.Decoder(kind, dec_hook=decode_hook) for kind in (*EVENT_TYPES.values(), UnknownEvent)
}


PAYLOADS: Final = ("resolvedInputs", "outputs")
"""The fields that can be large, and are not kept as long as the rest (TASKEXEC_PAYLOAD_RETENTION)."""


def encode_event(event: Event) -> bytes:
    """The event as JSON; what is absent is left out, but nulls inside inputs and outputs are kept."""
    return _encoder.encode(event)


def read_event(type_: str, body: bytes) -> AnyEvent:
    """The event of this CloudEvents type from its JSON, whichever version wrote it.

    Of a later version's event, what is known is read; whoever keeps events keeps their bodies.

    Raises:
        ValueError: the body is not JSON or not an event, or its schemaVersion or status is a later one, so that to read
            it could be to misunderstand it.
    """
    kind: type[AnyEvent] = EVENT_TYPES.get(type_, UnknownEvent)
    try:
        return _decoders[kind].decode(body)
    except ValueError:  # it is of an older version, or the strict reader says what is wrong with it
        return msgspec.convert(_upcast(decode(body)), kind, dec_hook=decode_hook)


def _upcast(data: JsonValue) -> JsonValue:
    """The event as today's version would have written it."""
    if not isinstance(data, dict) or "schemaVersion" in data:
        return data
    happened = data.get("completedAt") or data.get("startedAt") or data.get("createdAt")
    return {**data, "schemaVersion": SCHEMA_VERSION, "occurredAt": happened}
