"""`decide` what a command does to an execution, and `ring` what a timer does. Both pure: time comes in as data."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, assert_never

from msgspec import Struct

from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    LifecycleCommand,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.problems import Code, Problem, RejectedError, problem, reject
from service.contracts.sensitive import Seal, sealed, withhold
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.definitions import Definition
from service.domain.execution import Execution, Remembered
from service.domain.fitting import check_outputs, check_spark_application, resolve_inputs
from service.domain.identity import id_bytes
from service.domain.sensitive import marks
from service.domain.timers import Timer, TimerKind, timers_of

TRANSITIONS: Final[dict[tuple[Status, type[Command]], Status]] = {
    (Status.PENDING, StartTaskExecution): Status.RUNNING,
    (Status.PENDING, StopTaskExecution): Status.STOPPED,
    (Status.PENDING, SkipTaskExecution): Status.SKIPPED,
    (Status.RUNNING, SucceedTaskExecution): Status.SUCCESS,
    (Status.RUNNING, FailTaskExecution): Status.FAILURE,
    (Status.RUNNING, StopTaskExecution): Status.STOPPED,
}
"""The whole life of an execution (spec, invariant 3): (status, command) -> the next status. Nothing else is allowed."""


class Request(Struct, frozen=True, gc=False):
    """A command with what comes as data: its identity (`command_id`), its payload's hash, who sent it, the time now.

    `whole_hash` is of the payload with its sensitive values, where `command_hash` is without: an earlier version
    remembered it. It is compared, and never written.
    """

    command: Command
    command_id: str
    command_hash: str
    source: str
    at: Timestamp
    whole_hash: str | None = None


class Decision(Struct, frozen=True, gc=False):
    """What is to happen, all of it or nothing.

    `events` happen to the execution, in order. `commands` are then sent, to any execution. `timers` are those of the
    execution from now on, instead of the ones it had. `repeats` says that nothing happens, for an equal command was
    accepted before; `forgets`, that the execution is remembered no more.
    """

    events: Sequence[Event] = ()
    commands: Sequence[Command] = ()
    timers: Sequence[Timer] = ()
    repeats: Remembered | None = None
    forgets: bool = False


NOTHING: Final = Decision()


def decide(
    state: Execution | None,
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
    if state is not None and (known := repeated(state, request)) is not None:
        return Decision(repeats=known)
    if type(command) is ExecuteTask:
        return Decision((_create(command, request, definition, seal),))
    if state is None:
        raise reject(
            Code.EXECUTION_NOT_FOUND,
            f"There is no task execution {command.execution_id}. Send ExecuteTask first, and what follows under the "
            "same key, or after its reply: under another key it may overtake.",
        )
    event = _advance(state, command, request, definition, seal)
    return Decision((event,), timers=timers_of(event, kept))


def ring(state: Execution | None, timer: Timer, kept: timedelta | None) -> Decision:
    """What the timer makes happen, now that it is due: nothing if the execution is in a state that has no such timer.

    It may have changed since the timer was set, or have been forgotten.
    """
    if state is None or timer not in timers_of(state, kept):
        return NOTHING
    match timer.kind:
        case TimerKind.FORGET:
            return Decision(forgets=True)
        case _:
            assert_never(timer.kind)


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


def _create(command: ExecuteTask, request: Request, definition: Definition | None, seal: Seal) -> TaskExecutionCreated:
    resolved, sensitive = resolve_inputs(command, definition), marks(None, definition)
    return TaskExecutionCreated(
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
    )


def _advance(
    state: Execution, command: LifecycleCommand, request: Request, definition: Definition | None, seal: Seal
) -> Event:
    status = TRANSITIONS.get((state.status, type(command)))
    if status is None:
        raise RejectedError(_invalid_transition(state, command))
    at = max(request.at, state.occurred_at)
    common: dict[str, Any] = {
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
        "started_at": at if status is Status.RUNNING else state.started_at,
        "completed_at": at if status.is_final else None,
        "spark_application_id": state.spark_application_id,
        "command_id": request.command_id,
        "command_hash": request.command_hash,
    }
    match command:
        case StartTaskExecution():
            check_spark_application(command, definition)
            common["spark_application_id"] = command.spark_application_id
            return TaskExecutionStarted(**common)
        case SucceedTaskExecution():
            check_outputs(command, definition)
            sensitive = marks(state, definition)
            outputs = sealed(command.outputs, sensitive.outputs, seal) if sensitive else command.outputs
            return TaskExecutionSucceeded(**common, outputs=outputs)
        case FailTaskExecution():
            return TaskExecutionFailed(**common, error_message=command.error_message)
        case StopTaskExecution():
            requested_by = command.requested_by or request.source
            return TaskExecutionStopped(**common, requested_by=requested_by, reason=command.reason)
        case SkipTaskExecution():
            return TaskExecutionSkipped(**common, skip_reason=command.skip_reason)
        case _:
            assert_never(command)


def _invalid_transition(state: Execution, command: Command) -> Problem:
    allowed = tuple(kind.__name__ for status, kind in TRANSITIONS if status is state.status)
    what = f"allowed are {', '.join(allowed)}" if allowed else "the status is final"
    return problem(
        Code.INVALID_TRANSITION,
        f"{type(command).__name__} is not possible: task execution {state.execution_id} is {state.status}; {what}.",
        current_status=state.status,
        allowed_commands=allowed,
    )
