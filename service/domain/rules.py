"""The rules of a variable, compiled into a schema of pydantic-core, and all that is wrong with the rules themselves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, assert_never

from pydantic_core import PydanticCustomError, PydanticKnownError, SchemaValidator, ValidationError, core_schema

from service.contracts.codec import encode
from service.contracts.definitions import Validation, Variable, VariableType
from service.contracts.problems import field_errors
from service.domain.equality import JsonValues
from service.domain.patterns import Budget, Pattern, PatternError, Patterns

MAX_ENUM_VALUES: Final = 10_000
"""How many values the enums in one list of variables have at most, together."""

_NO_LIMITS: Final = Validation()
_EXACT: Final = 2**53  # what is greater than this may have become this, as a 64-bit float
_SHOWN: Final = 500  # characters of an enum in an error

Flaw = tuple[tuple[str, ...], str]
"""Where in a variable, and what is wrong there."""


class Compiler:
    """Makes schemas of variables; what they cost to make is bounded for all of them together."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns, self._budget = patterns, Budget()
        self._enum_values = 0

    def compile(self, variable: Variable) -> tuple[core_schema.CoreSchema, list[Flaw]]:
        """The schema of one variable, and all that is wrong with it."""
        limits = variable.validation or _NO_LIMITS
        flaws = [(("validation", *where), what) for where, what in _contradictions(variable.type, limits)]
        pattern = None
        if limits.pattern is not None and variable.type in _TEXTS:
            try:
                pattern = self._patterns.compile(limits.pattern)
            except PatternError as error:
                flaws.append((("validation", "pattern"), f"its pattern {error}"))
        schema = _schema(variable.type, limits)
        if limits.enum is not None:
            self._enum_values += len(limits.enum)
            if self._enum_values > MAX_ENUM_VALUES:
                flaws.append((("validation", "enum"), f"all enums may have {MAX_ENUM_VALUES} values together"))
            elif flaws or self._some_fit(_matching(pattern, schema), limits.enum):
                schema = core_schema.no_info_after_validator_function(_one_of(limits.enum), schema)
            else:
                flaws.append((("validation", "enum"), "none of its values fits the other rules of the variable"))
        schema = _matching(pattern, schema)
        if variable.default_value is not None:
            if variable.sensitive:
                flaws.append((("defaultValue",), "is sensitive, so it cannot have a defaultValue, which all can read"))
            elif variable.required:
                flaws.append((("defaultValue",), "is required, so it cannot have a defaultValue"))
            elif not flaws and (flaw := self._flaw_of(SchemaValidator(schema), variable.default_value)):
                flaws.append((("defaultValue",), f"its defaultValue {flaw}"))
        return schema if variable.required else core_schema.nullable_schema(schema), flaws

    def _some_fit(self, schema: core_schema.CoreSchema, values: Sequence[object]) -> bool:
        validator = SchemaValidator(schema)
        return any(self._flaw_of(validator, value) is None for value in values)

    def _flaw_of(self, validator: SchemaValidator, value: object) -> str | None:
        try:
            validator.validate_python(value, context=self._budget)
        except ValidationError as error:
            return field_errors(error, ())[0].detail
        return None


_TEXTS: Final = {VariableType.STRING, VariableType.FILE}
_WITH_LENGTH: Final = {*_TEXTS, VariableType.ARRAY}


def _contradictions(type_: VariableType, limits: Validation) -> Iterator[Flaw]:
    shortest, longest = limits.min_length, limits.max_length
    if type_ in _WITH_LENGTH and shortest is not None and longest is not None and shortest > longest:
        yield ("minLength",), f"its minLength {shortest} is greater than its maxLength {longest}"
    least, most = limits.min_value, limits.max_value
    if type_ is VariableType.NUMBER and least is not None and most is not None and least > most:
        yield ("minValue",), f"its minValue {least} is greater than its maxValue {most}"


def _schema(type_: VariableType, limits: Validation) -> core_schema.CoreSchema:
    shortest, longest = limits.min_length, limits.max_length
    match type_:
        case VariableType.STRING | VariableType.FILE:
            return core_schema.str_schema(strict=True, min_length=shortest, max_length=longest)
        case VariableType.NUMBER:
            return _number_schema(limits.min_value, limits.max_value)
        case VariableType.BOOLEAN:
            return core_schema.bool_schema(strict=True)
        case VariableType.ARRAY:
            return core_schema.list_schema(strict=True, min_length=shortest, max_length=longest)
        case VariableType.OBJECT:
            return core_schema.dict_schema(strict=True)
        case _:
            assert_never(type_)


def _number_schema(least: float | None, most: float | None) -> core_schema.CoreSchema:
    if any(limit is not None and abs(limit) >= _EXACT for limit in (least, most)):
        return core_schema.no_info_plain_validator_function(_exactly_within(least, most))
    return core_schema.float_schema(strict=True, ge=least, le=most)


def _matching(pattern: Pattern | None, schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """The pattern comes last: all that is cheaper is checked before."""
    if pattern is None:
        return schema

    def check(value: str, info: core_schema.ValidationInfo[Budget]) -> str:
        if reason := pattern.flaw(value, info.context):
            raise PydanticCustomError("pattern", "{reason}", {"reason": reason})
        return value

    return core_schema.with_info_after_validator_function(check, schema)


def _exactly_within(least: float | None, most: float | None) -> Callable[[Any], object]:
    def check(value: Any) -> object:  # noqa: ANN401 - JSON is any
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticKnownError("float_type")
        if least is not None and value < least:
            raise PydanticCustomError("least", "must be greater than or equal to {least}", {"least": least})
        if most is not None and value > most:
            raise PydanticCustomError("most", "must be less than or equal to {most}", {"most": most})
        return value

    return check


def _one_of(allowed: tuple[Any, ...]) -> Callable[[Any], object]:
    known = JsonValues(allowed)
    shown = encode(allowed).decode()
    names = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}… ({len(allowed)} values)"

    def check(value: Any) -> object:  # noqa: ANN401 - JSON is any
        if value not in known:
            raise PydanticCustomError("not_among", "must be one of {allowed}", {"allowed": names})
        return value

    return check
