"""What pydantic finds wrong is said in our words, which say what is allowed."""

import math
from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter
from pydantic_core import PydanticKnownError, SchemaValidator, ValidationError, core_schema
from pydantic_core._pydantic_core import list_all_errors

from service.contracts.definitions import VariableType
from service.contracts.model import Contract, ExecutionId, TaskId, TaskVersion
from service.contracts.wording import detail_of

THEIRS = ("should", "input", "valid ", "unable", "pydantic", "tuple", "dictionary", "instance", "value error", "python")
KINDS: dict[str, Any] = {info["type"]: info["example_context"] for info in list_all_errors()}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_pydantic_can_say_is_said_in_its_words(kind: str) -> None:
    context = KINDS[kind]
    if kind in {"value_error", "assertion_error"}:
        context = {"error": ValueError("no such thing")}

    def fail(_: object) -> None:
        raise PydanticKnownError(kind, context)  # type: ignore[arg-type]  # one of them

    with pytest.raises(ValidationError) as caught:
        SchemaValidator(core_schema.no_info_plain_validator_function(fail)).validate_python(1)
    (flaw,) = caught.value.errors(include_url=False)
    detail = detail_of(flaw)
    assert detail
    assert not [word for word in THEIRS if word in detail.lower().replace("is not valid", "")]


class Size(Contract):
    """Stands for any message body."""

    width: int


@pytest.mark.parametrize(
    ("kind", "value", "detail"),
    [
        (int, None, "must be an integer"),
        (int, "x", "must be an integer"),
        (int, 1.5, "must be an integer"),
        (int, "9" * 5000, "must be an integer of fewer digits"),
        (float, None, "must be a number"),
        (float, "x", "must be a number"),
        (Annotated[float, Field(allow_inf_nan=False)], math.inf, "must be a finite number"),
        (bool, None, "must be true or false"),
        (bool, "x", "must be true or false"),
        (str, 1, "must be a string"),
        (str, b"\xff", "must be Unicode"),
        (timedelta, None, "must be a duration in ISO 8601, such as PT24H"),
        (timedelta, "x", "must be a duration in ISO 8601, such as PT24H"),
        (list[int], 1, "must be an array"),
        (tuple[int, ...], 1, "must be an array"),
        (dict[str, int], 1, "must be an object"),
        (Size, 1, "must be an object"),
        (Size, {}, "required, but missing"),
        (Size, {"width": 1, "x": 1}, "unknown"),
        (Annotated[str, Field(min_length=1)], "", "must have at least 1 character"),
        (Annotated[str, Field(min_length=2)], "", "must have at least 2 characters"),
        (Annotated[str, Field(max_length=1)], "ab", "must have at most 1 character"),
        (Annotated[str, Field(max_length=2)], "abc", "must have at most 2 characters"),
        (Annotated[str, Field(pattern="^a$")], "b", "must match pattern '^a$'"),
        (TaskId, "report", "must be namespace:name, such as sales:daily_report: letters, digits, '_', '.' and '-'"),
        (TaskVersion, "1.x", "must be one version, such as 1.2.0 or draft; a range of versions is not"),
        (ExecutionId, "1", "must be a UUID"),
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items, not 1"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 item"),
        (Annotated[int, Field(gt=1)], 1, "must be greater than 1"),
        (Annotated[int, Field(ge=1)], 0, "must be greater than or equal to 1"),
        (Annotated[int, Field(lt=1)], 1, "must be less than 1"),
        (Annotated[float, Field(le=1)], 2, "must be less than or equal to 1"),
        (Annotated[float, Field(le=1.5)], 2, "must be less than or equal to 1.5"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (VariableType, "c", "must be 'string', 'number', 'boolean', 'array', 'object' or 'file'"),
    ],
)
def test_what_is_allowed_is_said(kind: Any, value: Any, detail: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert [detail_of(flaw) for flaw in caught.value.errors()][-1] == detail
