"""The fields of a request model as options of a command: whoever adds a field has added the option."""

import inspect
from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from enum import StrEnum
from functools import cache
from inspect import Parameter
from typing import Annotated, Any, Final, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from service.cli.completion import complete_task
from service.contracts.model import Contract
from service.contracts.timestamps import Timestamp
from service.ports.moments import read_moment
from service.queries.requests import ListTaskExecutions

Command = Callable[..., None]

OF_A_PAGE: Final = ("sort", "page_number", "page_size", "cursor", "counts", "min_position")
"""What a list has beside its filters."""

_SHORT: Final = {
    "task_id": "task",
    "id_prefix": "id",
    "created_from": "since",
    "created_to": "until",
    "rejected_from": "since",
    "rejected_to": "until",
}
"""Options that are typed often have a name of their own."""

_COMPLETED_BY: Final = {"task_id": complete_task}


def accepting(model: type[Contract], without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Let typer see the model's fields as options of the command, which gets them as keyword arguments.

    `without`: fields that the command takes in a way of its own.

    An option that is not given is None: the service knows the defaults.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
        fields = [option for name, option in _options(model).items() if name not in without]
        parameters = sorted([*fields, *own], key=lambda parameter: parameter.kind)  # positional ones come first
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def parameters_of(model: type[Contract], given: Mapping[str, object]) -> dict[str, Any]:
    """What was given to these options, by the names that the service knows them by."""
    return {field.alias or name: given[name] for name, field in model.model_fields.items() if name in given}


def option_of(name: str) -> str:
    """The option that a field is."""
    return f"--{_SHORT.get(name, name).replace('_', '-')}"


def is_filtered(given: Mapping[str, object]) -> bool:
    """Whether any of these options is given."""
    return any(given.values())


def filters_of(given: Mapping[str, object]) -> dict[str, Any]:
    """The filters of a list that are given, so that they mean the same whenever they are asked for again.

    They do not fit what is made from now on.
    """
    parameters = {name: value for name, value in parameters_of(ListTaskExecutions, given).items() if value}
    fixed = {name: _moment(value) if name.endswith(("From", "To")) else value for name, value in parameters.items()}
    return {"createdTo": str(Timestamp.now(UTC))} | fixed


def _moment(given: Any) -> object:  # noqa: ANN401 - an option
    try:
        return str(read_moment(given))
    except ValueError:
        return given  # the service says what is wrong with it


@cache
def _options(model: type[Contract]) -> dict[str, Parameter]:
    return {name: _option(name, field) for name, field in model.model_fields.items()}


def _option(name: str, field: FieldInfo) -> Parameter:
    one: Any = _type_of(field)
    choices = f" One of: {', '.join(one)}." if issubclass(one, StrEnum) else ""
    kind = list[one] if get_origin(field.annotation) is tuple else one
    option = typer.Option(
        option_of(name),
        help=f"{field.description}{choices}",
        autocompletion=_COMPLETED_BY.get(name),
        metavar=_metavar(name) if issubclass(one, str) else None,
        show_default=f"{field.default}" if field.default else False,
        case_sensitive=False,
    )
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _metavar(name: str) -> str:
    return "TIME" if name.endswith(("_from", "_to")) else name.upper()


def _type_of(field: FieldInfo) -> type:
    """An enum, a number or a text; the service checks the rest."""
    kinds = (field.annotation, *get_args(field.annotation))
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, StrEnum | int):
            return kind
    return str
