"""What a timer does when it is due. Pure: time comes in as data."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from service.contracts.envelope import SOURCE
from service.contracts.events import TaskExecutionReady, TaskExecutionStopped
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.decided import NOTHING, Decision, Edge
from service.domain.dependencies import announcements, resolution
from service.domain.execution import Execution
from service.domain.happening import changed, happened, next_event
from service.domain.identity import command_hash, command_id
from service.domain.retries import failure
from service.domain.timers import Timer, TimerKind, timers_of

AT_ONCE: Final = 500
"""So many of those that wait for an execution are told in one transaction."""

PAUSE: Final = timedelta(milliseconds=100)
"""Before the next are told, others have their turn: without it, their commands took three times as long, not twice."""

_SET_AGAIN: Final = frozenset({TimerKind.LEASE, TimerKind.RESOLVE})
"""These may be set anew for later than the state says."""

_A_WHILE: Final = timedelta(seconds=1)


class Ringing(Struct, frozen=True):
    """What a timer rings with: it is `at`, and `edges` are some of those that wait for the execution.

    `kept` is how long a finished execution is remembered, None for ever. Commands have been listened to since
    `since`, and all that were sent until `until` have been heard: a worker cannot be silent towards one who does not
    listen.
    """

    at: Timestamp
    kept: timedelta | None
    since: Timestamp
    until: Timestamp
    edges: Sequence[Edge] = ()


def ring(state: Execution | None, timer: Timer, moment: Ringing) -> Decision:  # noqa: PLR0911 - one for each kind
    """What the timer makes happen, now that it is due: nothing if the execution is in a state that has no such timer.

    It may have changed since the timer was set, or have been forgotten.
    """
    if state is None or not _is_due(state, timer, moment.kept):
        return NOTHING
    match timer.kind:
        case TimerKind.FORGET:
            return Decision(forgets=True)
        case TimerKind.READY:
            return _ready(state, timer, moment)
        case TimerKind.START_TIMEOUT:
            event = TaskExecutionStopped(
                **next_event(state, Status.STOPPED, moment.at, _cause(state, timer)),
                requested_by=SOURCE,
                reason=f"start_timeout: it could have started for {state.terms.start_timeout}, and has not",
            )
            return happened(state, event, moment.kept)
        case TimerKind.RUN_TIMEOUT:
            message = f"run_timeout: it has run for {state.terms.run_timeout}"
            return failure(state, message, moment.at, _cause(state, timer), moment.kept)
        case TimerKind.LEASE:
            return _silent(state, timer, moment)
        case TimerKind.AWAIT:
            after = replace(state, terms=replace(state.terms, is_announced=True))
            return changed(after, moment.kept, commands=announcements(state))
        case TimerKind.RESOLVE:
            return _tell(state, moment)
        case _:
            assert_never(timer.kind)


def _is_due(state: Execution, timer: Timer, kept: timedelta | None) -> bool:
    is_again = timer.kind in _SET_AGAIN
    return any(
        own.kind is timer.kind and (own.due == timer.due or (is_again and own.due < timer.due))
        for own in timers_of(state, kept)
    )


def _ready(state: Execution, timer: Timer, moment: Ringing) -> Decision:
    terms = state.terms
    if terms.upstreams:
        return changed(replace(state, terms=replace(terms, not_before=None)), moment.kept)
    common = next_event(state, Status.PENDING, moment.at, _cause(state, timer))
    return happened(state, TaskExecutionReady(**common), moment.kept)


def _silent(state: Execution, timer: Timer, moment: Ringing) -> Decision:
    claim = state.terms.claim
    assert claim is not None  # noqa: S101 - else it had no such timer
    assert claim.lease is not None  # noqa: S101 - likewise
    due = max(claim.heard_at, moment.since) + claim.lease
    # Never at the first ring: whoever was paused himself, for longer than the lease, is to hear first what was sent.
    if due > moment.until or timer.due <= claim.heard_at + claim.lease:
        return Decision(timers=(replace(timer, due=max(due, moment.at + _A_WHILE)),))
    message = f"worker lost: nothing was heard of {claim.owner} for {claim.lease}"
    return failure(state, message, moment.at, _cause(state, timer), moment.kept)


def _tell(state: Execution, moment: Ringing) -> Decision:
    commands, told = tuple(resolution(state, edge) for edge in moment.edges), moment.edges
    if len(moment.edges) == AT_ONCE:  # there may be more
        again = Timer(moment.at + PAUSE, state.execution_id, TimerKind.RESOLVE)
        return Decision(commands=commands, told=told, timers=(again,))
    after = replace(state, terms=replace(state.terms, is_awaited=False))
    return Decision(state=after, commands=commands, told=told)


def _cause(state: Execution, timer: Timer) -> tuple[str, str]:
    """The id and hash that stand where a command's would: a timer rings once in the life of an execution."""
    return command_id(SOURCE, f"{state.execution_id}/{timer.kind}"), command_hash(timer.kind, {})
