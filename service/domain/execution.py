"""TaskExecution, the aggregate: `decide` what a command does, `evolve` the state by what happened."""

from typing import Any, Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

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
from service.contracts.definitions import TaskType
from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.problems import Code, FieldError, Problem, RejectedError, problem, reject
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.definitions import Definition

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
    """A command with what comes as data: its identity (`command_id`), its payload's hash, who sent it, the time now."""

    command: Command
    command_id: str
    command_hash: str
    source: str
    at: Timestamp


class Execution(Struct, frozen=True, gc=False):
    """What the write side remembers of an execution: no payloads.

    `commands` are the (id, hash) of those that were accepted, in order: number n caused the event with sequence n.
    """

    execution_id: str
    sequence: int
    status: Status
    task_id: str
    task_version: str
    created_by: str
    created_at: Timestamp
    tags: tuple[str, ...]
    started_at: Timestamp | None
    completed_at: Timestamp | None
    spark_application_id: str | None
    commands: tuple[tuple[str, str], ...]

    @property
    def at(self) -> Timestamp:
        """When it last changed."""
        return self.completed_at or self.started_at or self.created_at


def decide(state: Execution | None, request: Request, definition: Definition | None) -> list[Event]:
    """What the command makes happen: one event, or none if it repeats what is already so.

    `definition` is the one that the command (ExecuteTask) or the state names, None if it does not exist.

    Raises:
        RejectedError: the command is refused; the problem says why and what is allowed.
    """
    command = request.command
    if state is not None and repeated_sequence(state, request) is not None:
        return []
    if isinstance(command, ExecuteTask):
        return [_create(command, request, definition)]
    if state is None:
        raise reject(
            Code.EXECUTION_NOT_FOUND,
            f"There is no task execution {command.execution_id}. Send ExecuteTask first, and what follows under the "
            "same key, or after its reply: under another key it may overtake.",
        )
    return [_advance(state, command, request, definition)]


def _advance(state: Execution, command: LifecycleCommand, request: Request, definition: Definition | None) -> Event:
    status = TRANSITIONS.get((state.status, type(command)))
    if status is None:
        raise RejectedError(_invalid_transition(state, command))
    at = max(request.at, state.at)
    common: dict[str, Any] = {
        "execution_id": state.execution_id,
        "sequence": state.sequence + 1,
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
            common["spark_application_id"] = _spark_application(command, definition)
            return TaskExecutionStarted(**common)
        case SucceedTaskExecution():
            _check_outputs(command, definition)
            return TaskExecutionSucceeded(**common, outputs=command.outputs)
        case FailTaskExecution():
            return TaskExecutionFailed(**common, error_message=command.error_message)
        case StopTaskExecution():
            requested_by = command.requested_by or request.source
            return TaskExecutionStopped(**common, requested_by=requested_by, reason=command.reason)
        case SkipTaskExecution():
            return TaskExecutionSkipped(**common, skip_reason=f"{command.reason}: {command.node}")
        case _:
            assert_never(command)


def evolve(state: Execution | None, event: Event) -> Execution:
    """The state after the event. Every event repeats the small fields, so only the commands accumulate."""
    return Execution(
        execution_id=event.execution_id,
        sequence=event.sequence,
        status=event.status,
        task_id=event.task_id,
        task_version=event.task_version,
        created_by=event.created_by,
        created_at=event.created_at,
        tags=event.tags,
        started_at=event.started_at,
        completed_at=event.completed_at,
        spark_application_id=event.spark_application_id,
        commands=(*(state.commands if state else ()), (event.command_id, event.command_hash)),
    )


def repeated_sequence(state: Execution, request: Request) -> int | None:
    """The sequence of the event that this command, or one that says the same, has caused already; None if it is new.

    Raises:
        RejectedError: the same (source, id) came before with another payload.
    """
    for sequence, (known_id, known_hash) in enumerate(state.commands, start=1):
        if known_id == request.command_id:
            if known_hash == request.command_hash:
                return sequence
            raise reject(
                Code.IDEMPOTENCY_CONFLICT,
                f"A command with this source and id was accepted before for task execution {state.execution_id}, with "
                "another type or payload. Give every distinct command an id of its own.",
            )
    stopped_again = isinstance(request.command, StopTaskExecution) and state.status is Status.STOPPED
    return state.sequence if stopped_again or state.commands[-1][1] == request.command_hash else None


def as_of(state: Execution, sequence: int) -> Execution:
    """The execution as it was right after the event with this sequence: what the first asker was told."""
    if sequence == state.sequence:
        return state
    if sequence == 1:
        return replace(
            state, sequence=1, status=Status.PENDING, started_at=None, completed_at=None, spark_application_id=None
        )
    return replace(state, sequence=sequence, status=Status.RUNNING, completed_at=None)


def _create(command: ExecuteTask, request: Request, definition: Definition | None) -> TaskExecutionCreated:
    return TaskExecutionCreated(
        execution_id=request.command_id,
        sequence=1,
        status=Status.PENDING,
        task_id=command.task_id,
        task_version=command.task_version,
        created_by=command.created_by or request.source,
        created_at=request.at,
        tags=command.tags,
        command_id=request.command_id,
        command_hash=request.command_hash,
        resolved_inputs=resolve_inputs(command, definition),
    )


def resolve_inputs(command: ExecuteTask, definition: Definition | None) -> dict[str, object]:
    """The inputs as the execution will see them, defaults filled in (spec, Command ExecuteTask).

    Raises:
        RejectedError: there is no such published definition, it cannot be used, or the inputs do not fit it.
    """
    if definition is None:
        name = f"{command.task_id} {command.task_version}"
        detail = f"There is no task definition {name}. Publish it, or name an existing taskId and taskVersion."
        missing = FieldError(pointer="#/taskId", detail=f"no definition {name}")
        raise reject(Code.DEFINITION_NOT_FOUND, detail, (missing,))
    if definition.flaw is not None:
        raise reject(
            Code.DEFINITION_UNUSABLE,
            f"The task definition {definition.name} cannot be used. Mend it and publish it again, or name another "
            f"version. What is wrong with it: {definition.flaw}",
            (FieldError(pointer="#/taskVersion", detail=f"cannot be used: {definition.flaw}"),),
        )
    if not definition.is_published:
        raise reject(
            Code.DEFINITION_NOT_PUBLISHED,
            f"The task definition {definition.name} is {definition.status}; only PUBLISHED ones can be executed.",
            (FieldError(pointer="#/taskVersion", detail=f"{definition.status}, not PUBLISHED"),),
        )
    resolved, errors = definition.resolve_inputs(command.inputs)
    if errors:
        detail = f"The inputs do not fit the definition of {definition.name}: see errors."
        raise reject(Code.INVALID_INPUTS, detail, errors)
    return resolved


def _check_outputs(command: SucceedTaskExecution, definition: Definition | None) -> None:
    # A definition withdrawn or spoilt while the execution ran can no longer say what is right: the result is kept.
    if definition and (errors := definition.check_outputs(command.outputs)):
        detail = f"The outputs do not fit the definition of {definition.name}: see errors."
        raise reject(Code.INVALID_OUTPUTS, detail, errors)


def _spark_application(command: StartTaskExecution, definition: Definition | None) -> str | None:
    if definition is None or definition.flaw is not None:
        return command.spark_application_id
    if command.spark_application_id and definition.type is not TaskType.PYSPARK_OPERATOR:
        detail = f"The task's type is {definition.type}; only a pyspark_operator may name a sparkApplicationId."
        errors = (FieldError(pointer="#/sparkApplicationId", detail="not allowed here"),)
        raise reject(Code.SPARK_NOT_ALLOWED, detail, errors)
    return command.spark_application_id


def _invalid_transition(state: Execution, command: Command) -> Problem:
    allowed = tuple(kind.__name__ for status, kind in TRANSITIONS if status is state.status)
    what = f"allowed are {', '.join(allowed)}" if allowed else "the status is final"
    return problem(
        Code.INVALID_TRANSITION,
        f"{type(command).__name__} is not possible: task execution {state.execution_id} is {state.status}; {what}.",
        current_status=state.status,
        allowed_commands=allowed,
    )
