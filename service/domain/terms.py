"""What can be agreed about an execution beside its task: what it waits for, how long it may take, who runs it.

What has ended keeps what those that wait for it may ask, and no more.
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from service.contracts.codec import encode
from service.contracts.events import (
    Dependency,
    Retry,
    TaskExecutionCreated,
    TaskExecutionEvent,
    TaskExecutionFailed,
    TaskExecutionProgressed,
    TaskExecutionReady,
    TaskExecutionStarted,
    TaskExecutionSucceeded,
)
from service.contracts.timestamps import Timestamp


class Claim(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Who runs the execution; with a lease, nobody does any more if nothing is heard of them for so long."""

    owner: str
    lease: timedelta | None
    heard_at: Timestamp


class Attempt(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """How what fails is tried again, the executionId of the first attempt, and the inputs as JSON."""

    policy: Retry
    first: str
    number: int
    inputs: bytes

    @property
    def has_next(self) -> bool:
        """Whether it is tried again if this attempt fails."""
        return self.number < self.policy.max_attempts

    @property
    def delay(self) -> timedelta:
        """How long to wait before the next attempt."""
        return self.policy.delay * self.policy.backoff ** (self.number - 1)


class Terms(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`upstreams` are those it waits for that are not known to be SUCCESS; `not_before` is None once it has come.

    `ready_at` is since when it could start; `is_announced` says that those it waits for know it, `is_awaited` that
    others wait for it; `true_outputs` are the names of its boolean outputs that are true, and `retried_by` is the next
    attempt, now that it has ended.
    """

    upstreams: tuple[Dependency, ...] = ()
    not_before: Timestamp | None = None
    ready_at: Timestamp | None = None
    start_timeout: timedelta | None = None
    run_timeout: timedelta | None = None
    claim: Claim | None = None
    attempt: Attempt | None = None
    is_announced: bool = False
    is_awaited: bool = False
    true_outputs: tuple[str, ...] = ()
    retried_by: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can start."""
        return not self.upstreams and self.not_before is None


NONE: Final = Terms()
"""Nothing is agreed, as with most."""


def terms_after(terms: Terms, event: TaskExecutionEvent) -> Terms:
    """What is agreed after the event."""
    if type(event) is TaskExecutionCreated:
        return _agreed(event)
    if event.completed_at is not None:
        return _left(terms, event)
    if type(event) is TaskExecutionReady:
        return replace(terms, upstreams=(), not_before=None, ready_at=event.occurred_at)
    if type(event) is TaskExecutionProgressed:
        return heard(terms, event.occurred_at)
    if type(event) is TaskExecutionStarted and event.owner is not None:
        return replace(terms, claim=Claim(event.owner, event.lease, event.occurred_at))
    return terms


def heard(terms: Terms, at: Timestamp) -> Terms:
    """What is agreed after the owner was heard of, if there is one."""
    claim = terms.claim
    return terms if claim is None else replace(terms, claim=replace(claim, heard_at=at))


def _agreed(event: TaskExecutionCreated) -> Terms:
    if not (event.depends_on or event.not_before or event.start_timeout or event.run_timeout or event.retry):
        return NONE
    waits = bool(event.depends_on or event.not_before)
    attempt = None
    if event.retry is not None:
        first = event.retry_of or event.execution_id
        attempt = Attempt(event.retry, first, event.attempt, encode(event.resolved_inputs))
    return Terms(
        upstreams=event.depends_on,
        not_before=event.not_before,
        ready_at=None if waits else event.created_at,
        start_timeout=event.start_timeout,
        run_timeout=event.run_timeout,
        attempt=attempt,
    )


def _left(terms: Terms, event: TaskExecutionEvent) -> Terms:
    if type(event) is TaskExecutionSucceeded:
        true: tuple[str, ...] = ()
        if True in event.outputs.values():  # or 1, which is not meant
            true = tuple(name for name, value in event.outputs.items() if value is True)
        return Terms(is_awaited=terms.is_awaited, true_outputs=true) if terms.is_awaited or true else NONE
    retried_by = event.retried_by if type(event) is TaskExecutionFailed else None
    return Terms(is_awaited=terms.is_awaited, retried_by=retried_by) if terms.is_awaited or retried_by else NONE
