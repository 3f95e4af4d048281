"""`decide` what a command does to an execution. Pure: time comes in as data."""

from datetime import timedelta
from typing import Final, assert_never

from msgspec.structs import replace

from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    LifecycleCommand,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.events import (
    TaskExecutionCreated,
    TaskExecutionProgressed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.internal import AwaitTaskExecution, FindCycle, ResolveDependency
from service.contracts.problems import Code, Problem, RejectedError, problem, reject
from service.contracts.sensitive import Seal, sealed, withhold
from service.contracts.status import Status
from service.domain.claims import check_owner, check_ready
from service.domain.decided import Decision, Request
from service.domain.definitions import Definition
from service.domain.dependencies import advised, announcements, check_no_cycle, upstreams_of
from service.domain.execution import Execution, Expected, Remembered, evolve
from service.domain.fitting import check_outputs, check_spark_application, resolve_inputs
from service.domain.happening import changed, happened, next_event
from service.domain.identity import id_bytes
from service.domain.retries import failure, policy_of
from service.domain.sensitive import marks
from service.domain.terms import heard
from service.domain.timers import timers_of

TRANSITIONS: Final[dict[tuple[Status, type[Command]], Status]] = {
    (Status.PENDING, StartTaskExecution): Status.RUNNING,
    (Status.PENDING, StopTaskExecution): Status.STOPPED,
    (Status.PENDING, SkipTaskExecution): Status.SKIPPED,
    (Status.RUNNING, HeartbeatTaskExecution): Status.RUNNING,
    (Status.RUNNING, SucceedTaskExecution): Status.SUCCESS,
    (Status.RUNNING, FailTaskExecution): Status.FAILURE,
    (Status.RUNNING, StopTaskExecution): Status.STOPPED,
}
"""The whole life of an execution (spec, invariant 3): (status, command) -> the next status. Nothing else is allowed."""


def decide(
    state: Execution | Expected | None,
    request: Request,
    definition: Definition | None,
    kept: timedelta | None,
    seal: Seal = withhold,
) -> Decision:
    """What the command makes happen.

    `definition` is the one that the command (ExecuteTask) or the state names, None if it does not exist; `kept` is how
    long a finished execution is remembered, None for ever; `seal` makes of a sensitive value what events show of it.

    Raises:
        RejectedError: the command is refused; the problem says why and what is allowed.
    """
    command = request.command
    if type(command) is AwaitTaskExecution or type(command) is ResolveDependency or type(command) is FindCycle:
        return advised(state, command, request, kept)
    expected = None
    if type(state) is Expected:
        state, expected = None, state
    elif type(state) is Execution and (known := repeated(state, request)) is not None:
        return Decision(repeats=known)
    if type(command) is ExecuteTask:
        return _create(command, request, definition, kept, seal, expected)
    if type(state) is not Execution:
        raise reject(
            Code.EXECUTION_NOT_FOUND,
            f"There is no task execution {command.execution_id}. Send ExecuteTask first, and what follows under the "
            "same key, or after its reply: under another key it may overtake.",
        )
    return _advance(state, command, request, definition, kept, seal)


def repeated(state: Execution, request: Request) -> Remembered | None:
    """The command accepted before that was this one, or said the same; None if this one is new.

    Raises:
        RejectedError: the same (source, id) came before with another payload.
    """
    id_ = id_bytes(request.command_id)
    hashes = (bytes.fromhex(request.command_hash), request.whole_hash and bytes.fromhex(request.whole_hash))
    for known in state.commands:
        if known.command_id == id_:
            if known.command_hash in hashes:
                return known
            raise reject(
                Code.IDEMPOTENCY_CONFLICT,
                f"A command with this source and id was accepted before for task execution {state.execution_id}, with "
                "another type or payload. Give every distinct command an id of its own.",
            )
    last = state.commands[-1]
    stopped_again = state.status is Status.STOPPED and type(request.command) is StopTaskExecution
    return last if stopped_again or last.command_hash in hashes else None


def _create(  # noqa: PLR0913, PLR0917 - all that a new execution is made of
    command: ExecuteTask,
    request: Request,
    definition: Definition | None,
    kept: timedelta | None,
    seal: Seal,
    expected: Expected | None,
) -> Decision:
    resolved, sensitive = resolve_inputs(command, definition), marks(None, definition)
    assert definition is not None  # noqa: S101 - else the inputs could not be resolved
    upstreams = upstreams_of(command.depends_on) if command.depends_on else ()
    if upstreams:
        check_no_cycle(request.command_id, upstreams, expected)
    event = TaskExecutionCreated(
        execution_id=request.command_id,
        sequence=1,
        occurred_at=request.at,
        status=Status.PENDING,
        task_id=command.task_id,
        task_version=command.task_version,
        created_by=command.created_by or request.source,
        created_at=request.at,
        tags=command.tags,
        command_id=request.command_id,
        command_hash=request.command_hash,
        resolved_inputs=sealed(resolved, sensitive.inputs, seal) if sensitive else resolved,
        sensitive=sensitive,
        depends_on=upstreams,
        not_before=command.not_before if command.not_before and command.not_before > request.at else None,
        start_timeout=definition.source.start_timeout,
        run_timeout=definition.source.run_timeout,
        retry=policy_of(command, definition),
        retry_of=command.retry_of,
        attempt=command.attempt or 1,
    )
    if expected is None and not upstreams:
        return happened(None, event, kept)
    made = evolve(None, event)
    terms = replace(made.terms, is_announced=bool(upstreams), is_awaited=expected is not None)
    after = replace(made, terms=terms)
    return Decision((event,), after, announcements(after, expected), timers_of(after, kept))


def _advance(  # noqa: PLR0913, PLR0917 - likewise
    state: Execution,
    command: LifecycleCommand,
    request: Request,
    definition: Definition | None,
    kept: timedelta | None,
    seal: Seal,
) -> Decision:
    status = TRANSITIONS.get((state.status, type(command)))
    if status is None:
        raise RejectedError(_invalid_transition(state, command))
    at, cause = request.at, (request.command_id, request.command_hash)
    common = next_event(state, status, at, cause)
    match command:
        case StartTaskExecution():
            check_ready(state)
            check_spark_application(command, definition)
            common["spark_application_id"] = command.spark_application_id
            started = TaskExecutionStarted(**common, owner=command.owner, lease=command.lease)
            return happened(state, started, kept)
        case HeartbeatTaskExecution():
            check_owner(state, command)
            check_spark_application(command, definition)
            common["spark_application_id"] = command.spark_application_id or state.spark_application_id
            return _beat(state, command, TaskExecutionProgressed(**common), kept)
        case SucceedTaskExecution():
            check_owner(state, command)
            check_outputs(command, definition)
            sensitive = marks(state, definition)
            outputs = sealed(command.outputs, sensitive.outputs, seal) if sensitive else command.outputs
            return happened(state, TaskExecutionSucceeded(**common, outputs=outputs), kept)
        case FailTaskExecution():
            check_owner(state, command)
            return failure(state, command.error_message, at, cause, kept)
        case StopTaskExecution():
            requested_by = command.requested_by or request.source
            stopped = TaskExecutionStopped(**common, requested_by=requested_by, reason=command.reason)
            return happened(state, stopped, kept)
        case SkipTaskExecution():
            return happened(state, TaskExecutionSkipped(**common, skip_reason=command.skip_reason), kept)
        case _:
            assert_never(command)


def _beat(
    state: Execution, command: HeartbeatTaskExecution, progress: TaskExecutionProgressed, kept: timedelta | None
) -> Decision:
    """The lease begins anew. With nothing new to tell it is no event: there is one every few seconds, of every run."""
    known = progress.spark_application_id == state.spark_application_id
    if command.progress is None and command.message is None and known:
        return changed(replace(state, terms=heard(state.terms, progress.occurred_at)), kept)
    return happened(state, replace(progress, progress=command.progress, message=command.message), kept)


def _invalid_transition(state: Execution, command: Command) -> Problem:
    allowed = tuple(kind.__name__ for status, kind in TRANSITIONS if status is state.status)
    what = f"allowed are {', '.join(allowed)}" if allowed else "the status is final"
    return problem(
        Code.INVALID_TRANSITION,
        f"{type(command).__name__} is not possible: task execution {state.execution_id} is {state.status}; {what}.",
        current_status=state.status,
        allowed_commands=allowed,
    )
