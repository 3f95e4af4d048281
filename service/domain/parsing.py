"""From an envelope to a command: everything that is wrong with it is reported at once."""

from collections.abc import Iterable

from pydantic import JsonValue, ValidationError

from service.contracts.commands import COMMAND_TYPES, ExecuteTask
from service.contracts.envelope import SOURCE, Envelope
from service.contracts.internal import INTERNAL_TYPES, AnyCommand
from service.contracts.problems import (
    MAX_ERRORS,
    Code,
    FieldError,
    Problem,
    RejectedError,
    field_errors,
    listed,
    problem,
    reject,
)
from service.domain.definitions import Definition
from service.domain.fitting import resolve_inputs


class UnfitExecuteTaskError(RejectedError):
    """An ExecuteTask does not fit its schema. `rest` is what does: its definition may have more to say of it."""

    def __init__(self, reason: Problem, rest: ExecuteTask | None) -> None:
        super().__init__(reason)
        self.rest = rest


def parse_command(envelope: Envelope) -> AnyCommand:
    """The command in the envelope. An internal one is none unless it comes from the service itself.

    Raises:
        RejectedError: the type is unknown, or the data do not fit its schema: all that is wrong, with JSON pointers.
            An UnfitExecuteTaskError where it is an ExecuteTask: `all_errors` adds what the definition finds.
    """
    model: type[AnyCommand] | None = COMMAND_TYPES.get(envelope.type)
    if model is None and envelope.source == SOURCE:
        model = INTERNAL_TYPES.get(envelope.type)
    if model is None:
        known = ", ".join(COMMAND_TYPES)
        raise reject(Code.UNKNOWN_COMMAND, f"There is no command '{envelope.type}'. The type is one of: {known}.")
    data: JsonValue = envelope.data
    if isinstance(data, dict) and len(data) > MAX_ERRORS:
        data = dict(listed(data, model.wire_names()))
    try:
        # What model_validate() calls; its own checks of its options cost a third of the time.
        command: AnyCommand = model.__pydantic_validator__.validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        errors = field_errors(error, model.wire_names())
        if model is ExecuteTask:
            raise UnfitExecuteTaskError(_unfit(envelope.type, errors), _rest(envelope)) from None
        raise RejectedError(_unfit(envelope.type, (*errors, *_subject_errors(envelope)))) from None
    if envelope.subject is not None and model is not ExecuteTask and (errors := _subject_errors(envelope)):
        raise RejectedError(_unfit(envelope.type, errors))
    return command


def all_errors(found: Problem, rest: ExecuteTask, definition: Definition | None) -> Problem:
    """What was found wrong with an ExecuteTask, and what its definition finds wrong with the rest of it."""
    try:
        resolve_inputs(rest, definition)
    except RejectedError as error:
        return _unfit(ExecuteTask.__name__, (*found.errors, *error.problem.errors))
    return found


def _unfit(type_: str, errors: Iterable[FieldError]) -> Problem:
    return problem(Code.INVALID_COMMAND, f"The data do not fit the schema of {type_}: see errors.", tuple(errors))


def _subject_errors(envelope: Envelope) -> tuple[FieldError, ...]:
    id_ = _read(envelope, "executionId").get("executionId")
    if envelope.subject is None or not isinstance(id_, str) or envelope.subject.lower() == id_.lower():
        return ()
    detail = f"differs from the CloudEvents subject '{envelope.subject}'; leave the subject out, or make them equal"
    return (FieldError(pointer="#/executionId", detail=detail),)


def _rest(envelope: Envelope) -> ExecuteTask | None:
    try:
        return ExecuteTask.model_validate(
            _read(envelope, "taskId", "taskVersion", "inputs"), by_alias=True, by_name=False
        )
    except ValidationError:
        return None  # those errors are reported already


def _read(envelope: Envelope, *names: str) -> dict[str, JsonValue]:
    data: JsonValue = envelope.data
    return {name: data[name] for name in names if name in data} if isinstance(data, dict) else {}
