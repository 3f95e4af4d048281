"""A TaskDefinition made ready for use: it checks and resolves the variables of its executions."""

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, ValidationError, core_schema

from service.contracts.codec import encode
from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Validation, Variable, VariableType
from service.contracts.problems import FieldError, field_errors

_NO_LIMITS: Final = Validation()


class InvalidDefinitionError(ValueError):
    """The definition contradicts itself, so nothing can be executed by it; the message says where and why."""


class Definition:
    """One version of a task. Patterns are matched by a linear-time engine: no input can stall the service.

    Raises:
        InvalidDefinitionError: a variable is named twice, a required one has a default, a default does not fit its
            own limits, or a pattern is not a regular expression (look-around and back-references are not supported).
    """

    def __init__(self, source: TaskDefinition) -> None:
        self.source = source
        self.task_id, self.version = source.task_id, source.version
        self.name = f"{source.task_id} {source.version}"
        self.status: DefinitionStatus = source.status
        self.is_published = source.status is DefinitionStatus.PUBLISHED
        self.type: TaskType = source.type
        self._inputs = _Variables("inputs", source.input_variables)
        self._outputs = _Variables("outputs", source.output_variables)

    def resolve_inputs(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[FieldError, ...]]:
        """The inputs in the definition's order, defaults filled in and optional ones null; and all that is wrong."""
        errors = self._inputs.errors(inputs)
        return self._inputs.filled(inputs), errors

    def check_outputs(self, outputs: Mapping[str, Any]) -> tuple[FieldError, ...]:
        """All that is wrong with the outputs."""
        return self._outputs.errors(outputs)


class _Variables:
    """The input or the output variables of a definition, compiled into one validator."""

    def __init__(self, kind: str, variables: tuple[Variable, ...]) -> None:
        self._kind = kind
        self._defaults = {variable.name: variable.default_value for variable in variables}
        if len(self._defaults) < len(variables):
            names = [variable.name for variable in variables]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InvalidDefinitionError(f"{kind}: named twice: {', '.join(twice)}")
        for variable in variables:
            _check_variable(f"{kind}: {variable.name}", variable)
        self._validator = SchemaValidator(
            core_schema.typed_dict_schema(
                {
                    variable.name: core_schema.typed_dict_field(_schema(variable), required=variable.required)
                    for variable in variables
                },
                extra_behavior="forbid",
            )
        )

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every variable's value. A null for an optional variable means that it was not given."""
        return {
            name: default if (value := given.get(name)) is None else value for name, default in self._defaults.items()
        }

    def errors(self, given: Mapping[str, Any]) -> tuple[FieldError, ...]:
        try:
            self._validator.validate_python(given)
        except ValidationError as error:
            return field_errors(error, self._defaults, self._kind)
        return ()


def _check_variable(where: str, variable: Variable) -> None:
    try:
        validator = SchemaValidator(_schema(variable))
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InvalidDefinitionError(f"{where}: its pattern is not usable: {reason}") from None
    if variable.default_value is None:
        return
    if variable.required:
        raise InvalidDefinitionError(f"{where} is required, so it cannot have a defaultValue")
    try:
        validator.validate_python(variable.default_value)
    except ValidationError as error:
        raise InvalidDefinitionError(f"{where}: its defaultValue {field_errors(error, ())[0].detail}") from None


def _schema(variable: Variable) -> core_schema.CoreSchema:
    limits = variable.validation or _NO_LIMITS
    shortest, longest = limits.min_length, limits.max_length
    schema: core_schema.CoreSchema
    match variable.type:
        case VariableType.STRING | VariableType.FILE:
            schema = core_schema.str_schema(
                strict=True, pattern=limits.pattern, min_length=shortest, max_length=longest
            )
        case VariableType.NUMBER:
            schema = core_schema.float_schema(strict=True, ge=limits.min_value, le=limits.max_value)
        case VariableType.BOOLEAN:
            schema = core_schema.bool_schema(strict=True)
        case VariableType.ARRAY:
            schema = core_schema.list_schema(strict=True, min_length=shortest, max_length=longest)
        case VariableType.OBJECT:
            schema = core_schema.dict_schema(strict=True)
        case _:
            assert_never(variable.type)
    if limits.enum is not None:
        schema = core_schema.no_info_after_validator_function(_one_of(limits.enum), schema)
    return schema if variable.required else core_schema.nullable_schema(schema)


def _one_of(allowed: tuple[Any, ...]) -> Callable[[object], object]:
    names = encode(allowed).decode()

    def check(value: object) -> object:
        if value not in allowed:
            raise PydanticCustomError("enum", "must be one of {allowed}", {"allowed": names})
        return value

    return check
