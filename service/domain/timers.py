"""What happens to an execution by time alone: timers follow from its state, so none can be lost or ring twice."""

from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

from service.contracts.events import TaskExecutionEvent
from service.contracts.timestamps import Timestamp
from service.domain.execution import Execution


class TimerKind(StrEnum):
    """What a timer is for."""

    FORGET = "forget"
    """A finished execution is remembered no longer."""


class Timer(Struct, frozen=True, order=True):
    """At `due`, something is to be decided about the execution. Timers sort by the time at which they are due."""

    due: Timestamp
    execution_id: str
    kind: TimerKind


def timers_of(known: Execution | TaskExecutionEvent, kept: timedelta | None) -> tuple[Timer, ...]:
    """Those of an execution in this state, or after this event.

    `kept` is how long a finished one is remembered, None for ever.
    """
    if known.completed_at is None or kept is None:
        return ()
    return (Timer(known.completed_at + kept, known.execution_id, TimerKind.FORGET),)
