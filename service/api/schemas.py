"""The JSON Schemas of what the API takes and gives, in the words of those who have our document only."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from service.api.answers import ActionResults, ActOnTaskExecutions, SelectedTaskExecutions, UnansweredCommand
from service.contracts.codec import MAX_INTEGER, MIN_INTEGER
from service.contracts.commands import NO_NUL
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Problem
from service.ports.claims import EndedTaskExecutions
from service.ports.definitions import ListTaskDefinitions, TaskDefinitionAnswer, TaskDefinitionPage
from service.ports.filters import Filters
from service.queries.answers import (
    TaskCommandRejection,
    TaskCommandRejectionPage,
    TaskExecutionAnswer,
    TaskExecutionFailureInbox,
    TaskExecutionFailures,
    TaskExecutionGraph,
    TaskExecutionHistory,
    TaskExecutionPage,
    TaskExecutionStats,
)
from service.queries.projection import ProjectionStatus
from service.queries.requests import GetTaskExecutionStats, ListTaskCommandRejections, ListTaskExecutions

REF: Final = "#/components/schemas/{model}"

ACTED: Final = "TaskExecutionActions"
STREAM: Final = "TaskExecutionEvents"

_ANSWERS: Final = (
    TaskExecution, TaskExecutionAnswer, TaskExecutionPage, TaskExecutionHistory, TaskExecutionStats,
    TaskExecutionFailures, TaskExecutionFailureInbox, TaskExecutionGraph, ProjectionStatus, TaskCommandRejection,
    TaskCommandRejectionPage,
    EndedTaskExecutions, TaskDefinitionPage, TaskDefinitionAnswer, UnansweredCommand,
    SelectedTaskExecutions, ActionResults, Problem,
)  # fmt: skip
_OBJECT: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {"$ref": REF.format(model="Json")},
    "propertyNames": {"pattern": NO_NUL},
}
_JSON: Final[dict[str, Any]] = {
    "description": "JSON that every reader reads alike: integers of 64 bits, no NUL in texts.",
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "integer", "minimum": MIN_INTEGER, "maximum": MAX_INTEGER},
        {"type": "number"},
        {"type": "string", "pattern": NO_NUL},
        {"type": "array", "items": {"$ref": REF.format(model="Json")}},
        _OBJECT,
    ],
}
_STREAM: Final[dict[str, Any]] = {"description": "Server-sent events, as HTML defines them.", "type": "string"}
_ACTED: Final[dict[str, Any]] = {
    "description": "Which executions an action can be done to, or what became of each.",
    "anyOf": [{"$ref": REF.format(model=kind.__name__)} for kind in (SelectedTaskExecutions, ActionResults)],
}


def component_schemas(bodies: Mapping[str, type[Contract]]) -> dict[str, Any]:
    """By name, every schema that the document refers to: these bodies and all that we answer."""
    taken = {name: body_schema(model) for name, model in bodies.items()}
    shared: dict[str, Any] = {}
    for schema in taken.values():
        shared |= schema.pop("$defs", {})
    for asked in (ListTaskExecutions, GetTaskExecutionStats, ListTaskCommandRejections, ListTaskDefinitions):
        shared |= asked.model_json_schema(ref_template=REF, schema_generator=_AnswerSchema).get("$defs", {})
    _, given = models_json_schema(
        [(model, "validation") for model in _ANSWERS], ref_template=REF, schema_generator=_AnswerSchema
    )
    answers: dict[str, Any] = given["$defs"]
    # What is part of both is described as we take it: with nulls, which answers leave out.
    return answers | shared | taken | {"Json": _JSON, ACTED: _ACTED, STREAM: _STREAM}


def body_schema(kind: type[Contract]) -> dict[str, Any]:
    """The schema of the body; the executionId is in the path."""
    schema = kind.model_json_schema(ref_template=REF, schema_generator=_Schema)
    schema["properties"].pop("executionId", None)
    for name in ("inputs", "outputs"):
        if name in schema["properties"]:
            schema["properties"][name] |= _OBJECT
    if kind is ActOnTaskExecutions:
        return _two_forms(schema)
    required = [name for name in schema.pop("required", ()) if name != "executionId"]
    if required:
        schema["required"] = required
    return schema


def _two_forms(schema: dict[str, Any]) -> dict[str, Any]:
    """A question or an order: which fields there are, and which must be."""
    fields = schema.pop("properties")
    for name in ("required", "type", "additionalProperties"):
        del schema[name]
    some = [{"required": [name], "properties": {name: {"not": {"enum": [None, []]}}}} for name in Filters.wire_names()]
    filters = {"description": fields["filter"]["description"], "$ref": REF.format(model="Filters"), "anyOf": some}
    ids = fields["executionIds"]["anyOf"][0] | {
        "description": fields["executionIds"]["description"],
        "uniqueItems": True,
    }
    common = {name: fields[name] for name in ("action", "reason", "requestedBy")}
    asked = {"filter": filters, "dryRun": {"const": True}, "cursor": fields["cursor"], "limit": fields["limit"]}
    forms = [
        (common | asked, ["action", "filter", "dryRun"]),
        (common | {"executionIds": ids}, ["action", "executionIds"]),
    ]
    schema["anyOf"] = [
        {"type": "object", "properties": form, "required": required, "additionalProperties": False}
        for form, required in forms
    ]
    return {**schema, "$defs": schema.get("$defs", {})}


def query_parameters(model: type[Contract]) -> list[dict[str, Any]]:
    """The fields of the model as OpenAPI parameters of the query string."""
    schema = model.model_json_schema(ref_template=REF, schema_generator=_AnswerSchema)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.pop("description"),
            "schema": field,
        }
        for name, field in schema.get("properties", {}).items()
    ]


class _Schema(GenerateJsonSchema):
    """Field names say enough: no titles that repeat them."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - as in pydantic
        return False


class _AnswerSchema(_Schema):
    """The schema of what we write: a field without a value is left out, it is never null."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if key != "default" or value is not None}
