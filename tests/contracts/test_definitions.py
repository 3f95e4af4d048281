"""A definition as another service publishes it: by which key, and which of its fields are read."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.contracts.definitions import MAX_VARIABLES, TaskDefinition

BODY: dict[str, Any] = {"taskId": "sales:report", "version": "1.2.0", "status": "PUBLISHED", "type": "sql"}


def test_its_key_is_its_task_and_its_version() -> None:
    assert TaskDefinition.model_validate(BODY).key == "sales:report@1.2.0"


def test_an_input_is_required_unless_it_says_otherwise() -> None:
    definition = TaskDefinition.model_validate({**BODY, "inputVariables": [{"name": "day", "type": "string"}]})
    assert [variable.required for variable in definition.input_variables] == [True]
    assert definition.output_variables == ()


@pytest.mark.parametrize("field", ["inputVariables", "outputVariables"])
def test_it_has_up_to_1000_variables_of_each_kind(field: str) -> None:
    variables = [{"name": f"v{number}", "type": "string"} for number in range(MAX_VARIABLES)]
    assert TaskDefinition.model_validate({**BODY, field: variables})
    with pytest.raises(ValidationError, match="at most 1000 items"):
        TaskDefinition.model_validate({**BODY, field: [*variables, variables[0]]})
