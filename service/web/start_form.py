"""The form that starts an execution: a field for each input, and the command that it makes. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from service.contracts.codec import MalformedJsonError, decode, pointer
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition, Validation, Variable, VariableType
from service.contracts.problems import Code, FieldError, Problem, field_errors, reject

INPUT: Final = "input."
"""What the names of inputs begin with, among the fields."""

_TEXTS: Final = (VariableType.STRING, VariableType.FILE)
_COMMON: Final = ("createdBy", "tags")


class Field(NamedTuple):
    """A field as it is shown. `kind`: text, lines, number, json, choice or secret; `options` are those of a choice.

    `errors` are what is wrong with it, `hints` what its value must be.
    """

    name: str
    label: str
    kind: str
    required: bool
    value: str
    hints: tuple[str, ...] = ()
    description: str | None = None
    type: str = ""
    options: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def written(value: object) -> str:
    """A value as JSON, for people."""
    return json.dumps(value, ensure_ascii=False)


def hints_of(limits: Validation | None) -> tuple[str, ...]:
    """What a value must be, in words."""
    if limits is None:
        return ()
    words = (
        (limits.pattern, "matches {}"),
        (limits.min_length, "length at least {}"), (limits.max_length, "length at most {}"),
        (limits.min_value, "at least {}"), (limits.max_value, "at most {}"),
    )  # fmt: skip
    hints = [phrase.format(value) for value, phrase in words if value is not None]
    return (*hints, *([f"one of {', '.join(map(written, limits.enum))}"] if limits.enum is not None else ()))


def fields_of(
    definition: TaskDefinition, given: Mapping[str, str] | None = None, problem: Problem | None = None
) -> tuple[Field, ...]:
    """The fields of the inputs: with the defaults, or with what was typed and what is wrong with it."""
    return tuple(_field(variable, given, problem) for variable in definition.input_variables)


def unplaced(fields: tuple[Field, ...], problem: Problem | None) -> tuple[FieldError, ...]:
    """What is wrong with none of these, nor with the fields that every form has."""
    if problem is None:
        return ()
    shown = [pointer("#/inputs", field.label) for field in fields] + [f"#/{name}" for name in _COMMON]
    return tuple(error for error in problem.errors if not any(_within(error.pointer, place) for place in shown))


def errors_at(problem: Problem | None, place: str) -> tuple[str, ...]:
    """What the problem says of this place and those in it."""
    if problem is None:
        return ()
    found = (error for error in problem.errors if _within(error.pointer, place))
    return tuple(
        error.detail if error.pointer == place else f"{error.pointer[len(place) :]}: {error.detail}" for error in found
    )


def command_of(definition: TaskDefinition, given: Mapping[str, str]) -> ExecuteTask:
    """What the form asks for. A field that is empty is not given.

    Raises:
        RejectedError: a value is not of its type, or the command is not valid; errors say where.
    """
    inputs, errors = dict[str, Any](), list[FieldError]()
    for variable in definition.input_variables:
        if text := given.get(INPUT + variable.name):
            try:
                inputs[variable.name] = _value(variable, text)
            except MalformedJsonError as error:
                flaw = f"must be a {variable.type}, written as JSON: {error.detail}"
                errors.append(FieldError(pointer=pointer("#/inputs", variable.name), detail=flaw))
    if errors:
        raise reject(Code.INVALID_INPUTS, "Some values are not of their type: see there.", tuple(errors))
    tags = [tag.strip() for tag in given.get("tags", "").splitlines() if tag.strip()]
    try:
        return ExecuteTask.model_validate({
            "taskId": definition.task_id, "taskVersion": definition.version, "inputs": inputs, "tags": tags,
            "createdBy": given.get("createdBy"),
        })  # fmt: skip
    except ValidationError as error:
        flaws = field_errors(error, ExecuteTask.wire_names())
        raise reject(Code.INVALID_COMMAND, "The command is not valid: see there.", flaws) from None


def kept(definition: TaskDefinition, given: Mapping[str, str]) -> dict[str, str]:
    """What may be shown again of what was typed: no value of a sensitive variable."""
    secret = {INPUT + variable.name for variable in definition.input_variables if variable.sensitive}
    return {name: value for name, value in given.items() if name not in secret}


def _field(variable: Variable, given: Mapping[str, str] | None, problem: Problem | None) -> Field:
    name, limits = INPUT + variable.name, variable.validation
    value = _default(variable) if given is None else given.get(name, "")
    options = tuple(map(_as_text(variable), limits.enum)) if limits is not None and limits.enum is not None else ()
    return Field(
        name=name,
        label=variable.name,
        kind=_kind(variable, value, options),
        required=variable.required,
        value="" if variable.sensitive else value,
        hints=hints_of(limits),
        description=variable.description,
        type=variable.type,
        options=options or ("true", "false"),
        errors=errors_at(problem, pointer("#/inputs", variable.name)),
    )


def _kind(variable: Variable, value: str, options: tuple[str, ...]) -> str:
    if variable.sensitive:
        return "secret"
    if options or variable.type is VariableType.BOOLEAN:
        return "choice"
    if variable.type in _TEXTS:
        return "lines" if "\n" in value else "text"
    return "number" if variable.type is VariableType.NUMBER else "json"


def _default(variable: Variable) -> str:
    return "" if variable.default_value is None else _as_text(variable)(variable.default_value)


def _as_text(variable: Variable) -> Any:  # noqa: ANN401 - a function of any JSON
    return str if variable.type in _TEXTS else written


def _value(variable: Variable, text: str) -> Any:  # noqa: ANN401 - JSON is any
    return text if variable.type in _TEXTS else decode(text.encode())


def _within(where: str, place: str) -> bool:
    return where == place or where.startswith(f"{place}/")
