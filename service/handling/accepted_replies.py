"""The reply to an accepted command, as structs: with the models of the contract, nearly half of a command's cost.

What they say is what `CommandReply` and `TaskExecution` say of `view`; a test holds them equal.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from service.contracts.events import Dependency, TaskExecutionEvent
from service.contracts.plain_text import encode_hook
from service.contracts.replies import Outcome, Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import payloads_of

_encoder: Final = msgspec.json.Encoder(enc_hook=encode_hook)


class _Metadata(Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    created_at: Timestamp
    created_by: str
    spark_application_id: str | None = None
    tags: tuple[str, ...]


class _TaskExecution(Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    id: str
    task_id: str
    task_version: str
    status: Status
    resolved_inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    error_message: str | None = None
    skip_reason: str | None = None
    started_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    depends_on: tuple[Dependency, ...] | None = None
    not_before: Timestamp | None = None
    retry_of: str | None = None
    attempt: int | None = None
    retried_by: str | None = None
    owner: str | None = None
    progress: float | None = None
    message: str | None = None
    metadata: _Metadata


class _Position(Struct, gc=False):
    partition: int
    offset: int


class _Reply(Struct, rename="camel", gc=False):
    outcome: Outcome
    task_execution: _TaskExecution
    position: _Position


def accepted_reply(events: Sequence[TaskExecutionEvent], position: Position) -> bytes:
    """The reply's body: what these events, in order, have made of the execution."""
    known = events[-1]
    execution = _TaskExecution(
        id=known.execution_id,
        task_id=known.task_id,
        task_version=known.task_version,
        status=known.status,
        started_at=known.started_at,
        completed_at=known.completed_at,
        metadata=_Metadata(
            created_at=known.created_at,
            created_by=known.created_by,
            spark_application_id=known.spark_application_id,
            tags=known.tags,
        ),
        **payloads_of(events),
    )
    return _encoder.encode(_Reply(Outcome.ACCEPTED, execution, _Position(position.partition, position.offset)))
