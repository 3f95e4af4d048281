"""The JSON Schema of a file of definitions, for editors: it refuses nothing that can be published."""

from typing import Any, Final

from service.contracts.definitions import TaskDefinition

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""What editors support in full; nothing newer is needed."""

_REF: Final = {"$ref": "#/$defs/TaskDefinition"}


def definition_file_schema() -> dict[str, Any]:
    """A definition, or an array of definitions; fields that the service does not know are mistakes.

    It says less than `taskexec definitions validate`: what depends on other fields, such as a default within its own
    limits, only the service can tell.
    """
    definition = TaskDefinition.model_json_schema(by_alias=True)
    models: dict[str, Any] = {**definition.pop("$defs", {}), "TaskDefinition": definition}
    return {
        "$schema": DIALECT,
        "title": "Task definitions",
        "if": {"type": "array"},
        "then": {"items": _REF},
        "else": _REF,
        "$defs": {name: _strict(model) for name, model in sorted(models.items())},
    }


def _strict(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "additionalProperties": False} if "properties" in model else model
