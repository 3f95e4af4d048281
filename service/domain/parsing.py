"""From an envelope to a command: everything that is wrong with it is reported at once."""

from collections.abc import Callable, Iterable

from pydantic import JsonValue, ValidationError

from service.contracts.commands import COMMAND_TYPES, Command, ExecuteTask
from service.contracts.envelope import Envelope
from service.contracts.problems import MAX_ERRORS, Code, FieldError, RejectedError, field_errors, listed, reject
from service.domain.definitions import Definition
from service.domain.execution import resolve_inputs

DefinitionOf = Callable[[str, str], Definition | None]
"""Looks a definition up by taskId and taskVersion."""


def parse_command(envelope: Envelope, definition_of: DefinitionOf) -> Command:
    """The command in the envelope. `definition_of` is asked only to add the inputs' errors to those of the schema.

    Raises:
        RejectedError: the type is unknown, or the data do not fit its schema: all that is wrong, with JSON pointers.
    """
    model = COMMAND_TYPES.get(envelope.type)
    if model is None:
        known = ", ".join(COMMAND_TYPES)
        raise reject(Code.UNKNOWN_COMMAND, f"There is no command '{envelope.type}'. The type is one of: {known}.")
    data: JsonValue = envelope.data
    if isinstance(data, dict) and len(data) > MAX_ERRORS:
        data = dict(listed(data, model.wire_names()))
    try:
        # What model_validate() calls; its own checks of its options cost a third of the time.
        command: Command = model.__pydantic_validator__.validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        errors = field_errors(error, model.wire_names())
        errors += _input_errors(envelope, definition_of) if model is ExecuteTask else _subject_errors(envelope)
        raise _invalid(envelope.type, errors) from None
    if envelope.subject is not None and model is not ExecuteTask and (errors := _subject_errors(envelope)):
        raise _invalid(envelope.type, errors)
    return command


def _invalid(type_: str, errors: Iterable[FieldError]) -> RejectedError:
    return reject(Code.INVALID_COMMAND, f"The data do not fit the schema of {type_}: see errors.", tuple(errors))


def _subject_errors(envelope: Envelope) -> tuple[FieldError, ...]:
    id_ = _read(envelope, "executionId").get("executionId")
    if envelope.subject is None or not isinstance(id_, str) or envelope.subject.lower() == id_.lower():
        return ()
    detail = f"differs from the CloudEvents subject '{envelope.subject}'; leave the subject out, or make them equal"
    return (FieldError(pointer="#/executionId", detail=detail),)


def _input_errors(envelope: Envelope, definition_of: DefinitionOf) -> tuple[FieldError, ...]:
    try:
        command = ExecuteTask.model_validate(
            _read(envelope, "taskId", "taskVersion", "inputs"), by_alias=True, by_name=False
        )
        resolve_inputs(command, definition_of(command.task_id, command.task_version))
    except ValidationError:
        return ()  # those errors are reported already
    except RejectedError as error:
        return error.problem.errors
    return ()


def _read(envelope: Envelope, *names: str) -> dict[str, JsonValue]:
    data: JsonValue = envelope.data
    return {name: data[name] for name in names if name in data} if isinstance(data, dict) else {}
