"""The event that happens next to an execution: what all events share, filled in."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from service.contracts.events import Event
from service.contracts.internal import AnyCommand
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision, Edge
from service.domain.execution import Execution, evolve
from service.domain.timers import timers_of


def next_event(state: Execution, status: Status, at: Timestamp, cause: tuple[str, str]) -> dict[str, Any]:
    """The fields of the next event, by which the execution comes to this status; `cause`: a command's id and hash.

    It is never earlier than the one before, so no duration is negative when a clock jumps.
    """
    at = max(at, state.occurred_at)
    starts = status is Status.RUNNING and state.started_at is None
    return {
        "execution_id": state.execution_id,
        "sequence": state.sequence + 1,
        "occurred_at": at,
        "status": status,
        "previous_status": state.status,
        "task_id": state.task_id,
        "task_version": state.task_version,
        "created_by": state.created_by,
        "created_at": state.created_at,
        "tags": state.tags,
        "started_at": at if starts else state.started_at,
        "completed_at": at if status.is_final else None,
        "spark_application_id": state.spark_application_id,
        "command_id": cause[0],
        "command_hash": cause[1],
    }


def happened(
    state: Execution | None, event: Event, kept: timedelta | None, commands: Sequence[AnyCommand] = ()
) -> Decision:
    """The decision that this event happens, with the state and the timers that follow from it."""
    after = evolve(state, event)
    return Decision((event,), after, commands, timers_of(after, kept))


def changed(
    after: Execution, kept: timedelta | None, commands: Sequence[AnyCommand] = (), waiting: Sequence[Edge] = ()
) -> Decision:
    """The decision that this is the state from now on, without an event, with the timers that follow from it."""
    return Decision((), after, commands, timers_of(after, kept), waiting)
