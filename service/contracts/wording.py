"""What pydantic finds wrong, in our words: clients need not know what checks them."""

from typing import Final, get_args

from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from service.contracts.model import TASK_ID_PATTERN, UUID_PATTERN, VERSION_PATTERN

_DETAILS: Final = {
    "missing": "required, but missing",
    "extra_forbidden": "unknown",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer of fewer digits",
    "int_from_float": "must be an integer",
    "string_type": "must be a string",
    "string_unicode": "must be Unicode",
    "string_too_short": "must have at least {min_length} character{s}",
    "string_too_long": "must have at most {max_length} character{s}",
    "string_pattern_mismatch": "must match pattern '{pattern}'",
    "too_short": "must have at least {min_length} item{s}, not {actual_length}",
    "too_long": "must have at most {max_length} item{s}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be greater than or equal to {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be less than or equal to {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "time_delta_type": "must be a duration in ISO 8601, such as PT24H",
    "time_delta_parsing": "must be a duration in ISO 8601, such as PT24H",
    "value_error": "{error}",  # a ValueError that our own code raised
}

_PATTERNS: Final = {
    TASK_ID_PATTERN: "must be namespace:name, such as sales:daily_report: letters, digits, '_', '.' and '-'",
    VERSION_PATTERN: "must be one version, such as 1.2.0 or draft; a range of versions is not",
    UUID_PATTERN: "must be a UUID",
}
"""What has a name is not told as a pattern."""

_PYDANTICS: Final = frozenset(get_args(ErrorType))


def detail_of(flaw: ErrorDetails) -> str:
    """What is allowed there. `flaw` needs its context (`ValidationError.errors(include_context=True)`)."""
    if flaw["type"] not in _PYDANTICS:
        return flaw["msg"]  # a PydanticCustomError of ours
    context = {name: _short(value) for name, value in flaw.get("ctx", {}).items()}
    if (named := _PATTERNS.get(str(context.get("pattern")))) is not None:
        return named
    plural = "" if 1 in (context.get("min_length"), context.get("max_length")) else "s"
    return _DETAILS.get(flaw["type"], "is not valid").format(**context, s=plural)


def _short(value: object) -> object:
    """A float without a fraction as an integer: limits of numbers are given as either."""
    return str(value).removesuffix(".0") if isinstance(value, float) else value
