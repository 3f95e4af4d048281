"""Commands from what a program gives. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from service.client.errors import InvalidRequestError
from service.contracts.codec import pointer
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Code, FieldError, field_errors, problem

AnyCommand = TypeVar("AnyCommand", bound=Contract)


def checked(model: type[AnyCommand], fields: Mapping[str, Any]) -> AnyCommand:
    """The command.

    Raises:
        InvalidRequestError: it does not fit its schema; the same that the service would say.
    """
    try:
        return model.model_validate({to_camel(name): value for name, value in fields.items()})
    except ValidationError as error:
        detail = f"This is no {model.__name__}: see errors."
        flaws = field_errors(error, model.wire_names())
        raise InvalidRequestError(problem(Code.INVALID_COMMAND, detail, flaws)) from None


def fields_again(old: TaskExecution, edited: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the ExecuteTask that runs this again, some inputs replaced.

    With the same inputs it is another attempt at the same, unless the service makes the next one itself: there is one
    of each number.

    Raises:
        InvalidRequestError: the inputs are not all known.
    """
    fields: dict[str, Any] = {"inputs": _inputs_again(old, edited), "tags": old.metadata.tags}
    if not edited and old.retried_by is None:
        fields |= {"retry_of": old.retry_of or old.id, "attempt": (old.attempt or 1) + 1}
    return fields


def _inputs_again(old: TaskExecution, edited: Mapping[str, Any]) -> dict[str, Any]:
    if old.resolved_inputs is None:
        if edited:
            return dict(edited)
        detail = f"The inputs of {old.id} are not kept any more, or too large to be told. Give all that it needs."
        raise InvalidRequestError(problem(Code.INVALID_INPUTS, detail))
    inputs = {**old.resolved_inputs, **edited}
    sealed = [name for name, value in inputs.items() if isinstance(value, dict) and value.keys() == {"sealed"}]
    if sealed:
        errors = tuple(FieldError(pointer=pointer("#/inputs", name), detail="sealed; give it again") for name in sealed)
        detail = f"Some inputs of {old.id} are sensitive and can't be read: see errors."
        raise InvalidRequestError(problem(Code.INVALID_INPUTS, detail, errors))
    return inputs
