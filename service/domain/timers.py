"""What happens to an execution by time alone: timers follow from its state, so none can be lost or ring twice."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.execution import Execution
from service.domain.terms import Terms


class TimerKind(StrEnum):
    """What a timer is for. Stores know each by its place here: new ones come last."""

    FORGET = "forget"
    """A finished execution is remembered no longer."""
    READY = "ready"
    """The moment has come before which it could not start."""
    START_TIMEOUT = "start_timeout"
    """It could have started for so long, and has not."""
    RUN_TIMEOUT = "run_timeout"
    """It has run for so long."""
    LEASE = "lease"
    """Nothing was heard of the worker that runs it."""
    AWAIT = "await"
    """Those that it waits for are to be told that it does, as its state was made anew from the events."""
    RESOLVE = "resolve"
    """Those that wait for it are to be told how it ended."""


class Timer(Struct, frozen=True, order=True):
    """At `due`, something is to be decided about the execution. Timers sort by the time at which they are due."""

    due: Timestamp
    execution_id: str
    kind: TimerKind


def timers_of(known: Execution, kept: timedelta | None) -> tuple[Timer, ...]:
    """Those of an execution in this state. `kept` is how long a finished one is remembered, None for ever."""
    ended, terms = known.completed_at, known.terms
    if ended is None:
        return tuple(Timer(due, known.execution_id, kind) for due, kind in _open(known, terms))
    forget = () if kept is None else (Timer(ended + kept, known.execution_id, TimerKind.FORGET),)
    if not terms.is_awaited:
        return forget
    return (Timer(ended, known.execution_id, TimerKind.RESOLVE), *forget)


def _open(known: Execution, terms: Terms) -> Iterator[tuple[Timestamp, TimerKind]]:
    if known.status is Status.PENDING:
        if terms.upstreams and not terms.is_announced:
            yield known.created_at, TimerKind.AWAIT
        if terms.not_before is not None:
            yield terms.not_before, TimerKind.READY
        if terms.start_timeout is not None and terms.ready_at is not None:
            yield terms.ready_at + terms.start_timeout, TimerKind.START_TIMEOUT
    else:
        assert known.started_at is not None  # noqa: S101 - it runs
        if terms.run_timeout is not None:
            yield known.started_at + terms.run_timeout, TimerKind.RUN_TIMEOUT
        if terms.claim is not None and terms.claim.lease is not None:
            yield terms.claim.heard_at + terms.claim.lease, TimerKind.LEASE
