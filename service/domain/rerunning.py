"""Running something again: what of the old execution the new one is made of. Pure."""

from collections.abc import Mapping
from typing import Any

from service.contracts.codec import pointer
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, FieldError, reject


def fields_again(old: TaskExecution, edited: Mapping[str, Any], version: str | None = None) -> dict[str, Any]:
    """The fields of the ExecuteTask that runs this again, some inputs replaced, perhaps in another version.

    With the same inputs and version it is another attempt at the same, unless the service makes the next one itself:
    there is one of each number.

    Raises:
        RejectedError: invalid_inputs: they are not all known.
    """
    fields: dict[str, Any] = {
        "task_id": old.task_id,
        "task_version": version or old.task_version,
        "inputs": _inputs_again(old, edited),
        "tags": old.metadata.tags,
    }
    if not edited and fields["task_version"] == old.task_version and old.retried_by is None:
        fields |= {"retry_of": old.retry_of or old.id, "attempt": (old.attempt or 1) + 1}
    return fields


def _inputs_again(old: TaskExecution, edited: Mapping[str, Any]) -> dict[str, Any]:
    if old.resolved_inputs is None:
        if edited:
            return dict(edited)
        detail = f"The inputs of {old.id} are not kept any more, or too large to be told. Give all that it needs."
        raise reject(Code.INVALID_INPUTS, detail)
    inputs = {**old.resolved_inputs, **edited}
    sealed = [name for name, value in inputs.items() if isinstance(value, dict) and value.keys() == {"sealed"}]
    if sealed:
        errors = tuple(FieldError(pointer=pointer("#/inputs", name), detail="sealed; give it again") for name in sealed)
        detail = f"Some inputs of {old.id} are sensitive and can't be read: see errors."
        raise reject(Code.INVALID_INPUTS, detail, errors)
    return inputs
