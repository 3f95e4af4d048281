from typing import Any

import pytest
from pydantic_core import PydanticKnownError, SchemaValidator, ValidationError, core_schema
from pydantic_core._pydantic_core import list_all_errors

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
