"""Running something again: what the new execution is made of."""

from typing import Any

import pytest

from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError
from service.domain.rerunning import fields_again
from tests.ids import id_of

INPUTS = {"day": "2026-03-01", "top": 10}
ID, FIRST, NEXT = id_of("it"), id_of("first"), id_of("next")


def ended(**more: Any) -> TaskExecution:
    metadata = {"createdAt": "2026-03-02T04:00:00.000Z", "createdBy": "anna", "tags": ["nightly"]}
    fields = {"id": ID, "taskId": "a:b", "taskVersion": "1.0.0", "status": "FAILURE", "metadata": metadata}
    return TaskExecution.model_validate({**fields, "resolvedInputs": INPUTS, **more})


def test_the_same_again_is_another_attempt() -> None:
    fields = {"task_id": "a:b", "task_version": "1.0.0", "inputs": INPUTS, "tags": ("nightly",)}

    assert fields_again(ended(), {}) == {**fields, "retry_of": ID, "attempt": 2}
    assert fields_again(ended(retryOf=FIRST, attempt=3), {}) == {**fields, "retry_of": FIRST, "attempt": 4}
    assert fields_again(ended(), {}, "1.0.0") == fields_again(ended(), {})


@pytest.mark.parametrize(
    ("old", "edited", "version"),
    [(ended(), {"top": 5}, None), (ended(), {}, "1.1.0"), (ended(retriedBy=NEXT), {}, None)],
)
def test_anything_else_is_an_execution_of_its_own(
    old: TaskExecution, edited: dict[str, Any], version: str | None
) -> None:
    fields = fields_again(old, edited, version)

    assert fields["inputs"] == {**INPUTS, **edited}
    assert fields["task_version"] == (version or "1.0.0")
    assert not fields.keys() & {"retry_of", "attempt"}


def test_inputs_that_are_not_kept_must_be_given() -> None:
    old = ended(resolvedInputs=None)

    assert fields_again(old, INPUTS)["inputs"] == INPUTS
    with pytest.raises(RejectedError) as refused:
        fields_again(old, {})
    assert refused.value.code is Code.INVALID_INPUTS


def test_sealed_inputs_must_be_given_again() -> None:
    old = ended(resolvedInputs={**INPUTS, "password": {"sealed": None}})

    assert fields_again(old, {"password": "secret"})["inputs"] == {**INPUTS, "password": "secret"}
    with pytest.raises(RejectedError) as refused:
        fields_again(old, {})
    assert [error.pointer for error in refused.value.problem.errors] == ["#/inputs/password"]
