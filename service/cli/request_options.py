"""The fields of a request model as options of a command: whoever adds a field has added the option."""

import inspect
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from service.contracts.model import Contract

Command = Callable[..., None]


def accepting(model: type[Contract], without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Let typer see the model's fields as options of the command, which gets them as keyword arguments.

    `without`: fields that the command takes in a way of its own.

    An option that is not given is None: the service knows the defaults.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
        fields = [_option(name, field) for name, field in model.model_fields.items() if name not in without]
        parameters = sorted([*fields, *own], key=lambda parameter: parameter.kind)  # positional ones come first
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def parameters_of(model: type[Contract], given: Mapping[str, object]) -> dict[str, Any]:
    """What was given to these options, by the names that the service knows them by."""
    return {field.alias or name: given[name] for name, field in model.model_fields.items() if name in given}


def _option(name: str, field: FieldInfo) -> Parameter:
    kind: Any = _type_of(field)
    if get_origin(field.annotation) is tuple:
        kind = list[kind]
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=field.description,
        metavar=name.upper() if kind in {str, list[str]} else None,
        show_default=False if field.default in (None, ()) else f"{field.default}",
        case_sensitive=False,
    )
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _type_of(field: FieldInfo) -> type:
    """An enum, a number or a text; the service checks the rest."""
    kinds = (field.annotation, *get_args(field.annotation))
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, StrEnum | int):
            return kind
    return str
