"""The form that runs an execution again, with the same inputs or others."""

from collections.abc import Mapping
from typing import Any

from service.client.building import checked
from service.client.errors import InvalidRequestError
from service.contracts.codec import MalformedJsonError, decode
from service.contracts.commands import ExecuteTask
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, FieldError, RejectedError, reject
from service.domain.rerunning import fields_again


def command_again(old: TaskExecution, form: Mapping[str, str]) -> ExecuteTask:
    """The ExecuteTask that the form asks for; only inputs that differ from those of before count as edited.

    Raises:
        RejectedError: the inputs are not an object of strict JSON, or some must be given again.
    """
    before = old.resolved_inputs or {}
    inputs = _read(form["inputs"]) if "inputs" in form else before
    edited = {name: value for name, value in inputs.items() if name not in before or before[name] != value}
    try:
        fields = fields_again(old, edited, form.get("taskVersion"))
        if fields["inputs"].keys() != inputs.keys():  # some were taken away: it is not the same any more
            fields = {name: value for name, value in fields.items() if name not in {"retry_of", "attempt"}}
            fields["inputs"] = {name: fields["inputs"][name] for name in inputs}
        return checked(ExecuteTask, fields)
    except InvalidRequestError as error:
        raise RejectedError(error.problem) from None


def _read(text: str) -> dict[str, Any]:
    try:
        value = decode(text.encode())
    except MalformedJsonError as error:
        flaw = FieldError(pointer="#/inputs", detail=error.detail)
        raise reject(Code.INVALID_JSON, f"The inputs are not strict JSON: {error.detail}.", (flaw,)) from None
    if not isinstance(value, dict):
        flaw = FieldError(pointer="#/inputs", detail="must be a JSON object")
        raise reject(Code.INVALID_INPUTS, "The inputs must be a JSON object: a value for each input.", (flaw,))
    return value
