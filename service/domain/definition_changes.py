"""What differs between two definitions, for whoever executes them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from msgspec import Struct
from pydantic import BaseModel, JsonValue

from service.contracts.codec import pointer
from service.contracts.definitions import TaskDefinition, Variable
from service.domain.equality import canonical

IDENTITY: Final = frozenset({"taskId", "version"})


class Change(Struct, frozen=True):
    """One thing that differs. `where` is a JSON pointer, in which variables stand by name; None: it is not there."""

    where: str
    old: JsonValue
    new: JsonValue


def changes(old: TaskDefinition, new: TaskDefinition, without: frozenset[str] = IDENTITY) -> list[Change]:
    """What differs, in the definition's order; `without`: fields, as in JSON, that are not compared.

    Values are compared as JSON: 1 is 1.0, and not true. What is not given is its default.
    """
    return list(_changes(("#",), _fields(old), _fields(new), without))


def same(one: TaskDefinition, other: TaskDefinition) -> bool:
    """Whether they are equal as JSON, in all that this service reads."""
    return canonical(_json(one)) == canonical(_json(other))


def _changes(
    where: tuple[str, ...], old: Mapping[str, object], new: Mapping[str, object], without: frozenset[str] = frozenset()
) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if name in without:
            continue
        one, other, place = old.get(name), new.get(name), (*where, name)
        if isinstance(one, BaseModel) and isinstance(other, BaseModel):
            yield from _changes(place, _fields(one), _fields(other))
        elif (before := _variables(one)) | (after := _variables(other)):
            yield from _changes(place, before, after)
            kept = [variable for variable in before if variable in after]
            moved = [variable for variable in after if variable in before]
            if kept != moved:  # inputs are resolved in the definition's order
                yield Change(pointer(*place), [*kept], [*moved])
        elif canonical(_json(one)) != canonical(_json(other)):
            yield Change(pointer(*place), _json(one), _json(other))


def _fields(model: BaseModel) -> dict[str, object]:
    """By their names in JSON; those that are compared in parts as they are, all others as JSON."""
    dumped = model.model_dump(mode="json")
    values = {field.alias or name: getattr(model, name) for name, field in type(model).model_fields.items()}
    return {
        name: value if isinstance(value, BaseModel) or _variables(value) else dumped[name]
        for name, value in values.items()
    }


def _variables(value: object) -> dict[str, Variable]:
    """The variables by name; none if it is something else."""
    items = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
    return {item.name: item for item in items if isinstance(item, Variable)}


def _json(value: object) -> Any:  # noqa: ANN401 - JSON is any
    """As it is published: fields without a value are left out."""
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
