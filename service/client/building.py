"""Commands from what a program gives. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from service.client.errors import InvalidRequestError
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Code, RejectedError, field_errors, problem
from service.domain import rerunning

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

    Raises:
        InvalidRequestError: the inputs are not all known.
    """
    try:
        return rerunning.fields_again(old, edited)
    except RejectedError as refused:
        raise InvalidRequestError(refused.problem) from None
