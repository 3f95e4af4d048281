"""What OpenAPI says of the routes: they read raw bodies, so what FastAPI would infer from signatures stands here."""

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import StreamingResponse

from service.api import examples
from service.api.answers import ActOnTaskExecutions, RerunTaskExecution, UnansweredCommand
from service.api.errors import PROBLEM_JSON
from service.api.links import command_links
from service.api.names import (
    APPLIED,
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH_PARAMETER,
    LOCATION,
    POSITION,
    PREFER_PARAMETER,
    REPLAYED,
    RESPONSE_HEADERS,
    RETRY_AFTER,
)
from service.api.schemas import ACTED, REF, STREAM, component_schemas, query_parameters
from service.contracts.commands import COMMAND_TYPES, Command, ExecuteTask
from service.contracts.envelope import JSON
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Code, Problem, problem
from service.ports.claims import AwaitTaskExecutions, ClaimTaskExecution
from service.ports.filters import Filters

_CITATION: Final = r" \(spec[^)]*\)"

EVERY_REQUEST: Final = (Code.MALFORMED_REQUEST, Code.HOST_NOT_ALLOWED, Code.HEAD_TOO_LARGE)
"""The problems that every resource may answer with."""

_EVERY_REQUEST_WITH_BODY: Final = (
    *EVERY_REQUEST, Code.CROSS_ORIGIN, Code.REQUEST_TIMEOUT,
    Code.INVALID_JSON, Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID_REQUEST, Code.INVALID_COMMAND,
    Code.UNAVAILABLE, Code.INTERNAL_ERROR,
)  # fmt: skip
_EVERY_COMMAND: Final = (*_EVERY_REQUEST_WITH_BODY, Code.IDEMPOTENCY_CONFLICT)
_LIFECYCLE: Final = (*_EVERY_COMMAND, Code.EXECUTION_NOT_FOUND, Code.INVALID_TRANSITION)
_CODES: Final[dict[str, tuple[Code, ...]]] = {
    "ExecuteTask": (
        *_EVERY_COMMAND, Code.DEFINITION_NOT_FOUND, Code.DEFINITION_NOT_PUBLISHED, Code.DEFINITION_UNUSABLE,
        Code.INVALID_INPUTS, Code.DEPENDENCY_CYCLE,
    ),
    "StartTaskExecution": (*_LIFECYCLE, Code.NOT_READY, Code.SPARK_NOT_ALLOWED),
    "HeartbeatTaskExecution": (*_LIFECYCLE, Code.NOT_OWNER, Code.SPARK_NOT_ALLOWED),
    "SucceedTaskExecution": (*_LIFECYCLE, Code.NOT_OWNER, Code.INVALID_OUTPUTS),
    "FailTaskExecution": (*_LIFECYCLE, Code.NOT_OWNER),
    "StopTaskExecution": _LIFECYCLE,
    "SkipTaskExecution": _LIFECYCLE,
}  # fmt: skip


def command_route(
    kind: type[Command], parameters: list[dict[str, Any]], asked: type[Contract] = Contract
) -> dict[str, Any]:
    """FastAPI's arguments for the route of this command.

    `parameters` are OpenAPI's, beside those of its signature; `asked` has those of the query string.
    """
    name = kind.__name__
    headers = (POSITION, REPLAYED, APPLIED)
    links = {"links": command_links(name)}
    done = _answer(TaskExecution, "The command says what is already so.", headers, examples.EXECUTION) | links
    responses: dict[int | str, dict[str, Any]] = {HTTPStatus.OK: done}
    if kind is ExecuteTask:
        made = _answer(TaskExecution, "A new task execution.", (LOCATION, POSITION, APPLIED), examples.EXECUTION)
        responses[HTTPStatus.OK]["headers"] = _headers((LOCATION, *headers))
        if asked.model_fields:
            done["description"] += " Or, with `dryRun`, what it would make; then without headers and links."
        responses[HTTPStatus.CREATED] = made | links
    else:
        done["description"] = "The task execution after the command."
    pending = _answer(UnansweredCommand, _meaning(UnansweredCommand), (LOCATION, IDEMPOTENCY_KEY, APPLIED))
    responses[HTTPStatus.ACCEPTED] = pending
    codes = (*_CODES[name], *([Code.PRINCIPAL_REQUIRED] if parameters else ()))
    body = {"schema": {"$ref": REF.format(model=name)}, "example": examples.COMMAND_BODIES[name]}
    return {
        "operation_id": name,
        "summary": examples.SUMMARIES[name],
        "description": _meaning(kind),
        "status_code": HTTPStatus.CREATED if kind is ExecuteTask else HTTPStatus.OK,
        "responses": responses | problems(*codes),
        "openapi_extra": {
            "requestBody": {"required": True, "content": {JSON: body}},
            "parameters": [*query_parameters(asked), PREFER_PARAMETER, *parameters],
        },
    }


def claim_route(kind: type[Contract], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's arguments for the route of claims."""
    given = _answer(TaskExecution, "It is yours to run, whole.", (POSITION,), examples.CLAIMED)
    none: dict[str, Any] = {"description": "There was none in time: ask again."}
    codes = (*_EVERY_REQUEST_WITH_BODY, Code.PROJECTION_BEHIND, *([Code.PRINCIPAL_REQUIRED] if parameters else ()))
    body = {"schema": {"$ref": REF.format(model=kind.__name__)}, "example": examples.CLAIM}
    return {
        "operation_id": kind.__name__,
        "summary": "Get work to do",
        "description": _meaning(kind),
        "responses": {HTTPStatus.OK: given, HTTPStatus.NO_CONTENT: none} | problems(*codes),
        "openapi_extra": {"requestBody": {"required": True, "content": {JSON: body}}, "parameters": parameters},
    }


def await_route(kind: type[Contract], answer: type[Contract]) -> dict[str, Any]:
    """FastAPI's arguments for the route where ends are awaited."""
    body = {"schema": {"$ref": REF.format(model=kind.__name__)}, "example": examples.AWAITED}
    return {
        "operation_id": kind.__name__,
        "summary": "Wait until one has ended",
        "description": _meaning(kind),
        "responses": {HTTPStatus.OK: _answer(answer, _meaning(answer))} | problems(*_EVERY_REQUEST_WITH_BODY),
        "openapi_extra": {"requestBody": {"required": True, "content": {JSON: body}}},
    }


def query_route(
    name: str, summary: str, answer: type[Contract], parameters: type[Contract], *codes: Code
) -> dict[str, Any]:
    """FastAPI's arguments for the route of a query."""
    every = (*codes, Code.INVALID_REQUEST, Code.PROJECTION_BEHIND, Code.UNAVAILABLE, Code.INTERNAL_ERROR)
    return {
        "operation_id": name,
        "summary": summary,
        "responses": {HTTPStatus.OK: _answer(answer, _meaning(answer))} | problems(*every),
        "openapi_extra": {"parameters": query_parameters(parameters)},
    }


def conditional(route: dict[str, Any]) -> dict[str, Any]:
    """The same for a route whose answer has an ETag."""
    responses, extra = route["responses"], route["openapi_extra"]
    same = {"description": "The record is as the client has it.", "headers": _headers([ETAG])}
    answer = responses[HTTPStatus.OK] | {"headers": _headers([ETAG])}
    return route | {
        "responses": responses | {HTTPStatus.OK: answer, HTTPStatus.NOT_MODIFIED: same},
        "openapi_extra": extra | {"parameters": [*extra["parameters"], IF_NONE_MATCH_PARAMETER]},
    }


def action_route(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's arguments for the route of actions on many."""
    name = ActOnTaskExecutions.__name__
    answer = {
        "description": "Which they are, or what became of each.",
        "content": {JSON: {"schema": {"$ref": REF.format(model=ACTED)}, "examples": examples.ACTED}},
    }
    codes = (*_EVERY_REQUEST_WITH_BODY, Code.PROJECTION_BEHIND, *([Code.PRINCIPAL_REQUIRED] if parameters else ()))
    body = {"schema": {"$ref": REF.format(model=name)}, "examples": examples.ACTIONS}
    return {
        "operation_id": name,
        "summary": "Stop, skip or rerun many",
        "description": _meaning(ActOnTaskExecutions) + "\n\nEach is a command of its own, with the id "
        "`<Idempotency-Key>/<executionId>`: the same request sent again, or any part of it, does nothing twice.",
        "responses": {HTTPStatus.OK: answer} | problems(*codes),
        "openapi_extra": {"requestBody": {"required": True, "content": {JSON: body}}, "parameters": parameters},
    }


def rerun_route(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's arguments for the route that runs one again."""
    route = command_route(ExecuteTask, parameters)
    name = RerunTaskExecution.__name__
    body = {"schema": {"$ref": REF.format(model=name)}, "example": examples.RERUN}
    codes = (*_CODES["ExecuteTask"], Code.EXECUTION_NOT_FOUND, Code.INVALID_TRANSITION)
    principal = [Code.PRINCIPAL_REQUIRED] if parameters else []
    return route | {
        "operation_id": name,
        "summary": "Run it again",
        "description": _meaning(RerunTaskExecution),
        "responses": route["responses"] | problems(*codes, *principal),
        "openapi_extra": route["openapi_extra"] | {"requestBody": {"required": True, "content": {JSON: body}}},
    }


def live_route(parameters: type[Contract]) -> dict[str, Any]:
    """FastAPI's arguments for the route of the event stream."""
    stream = {
        "description": "Messages without an end: `event` is the CloudEvents type, `data` one line of JSON with `type`, "
        "`time`, `executionId`, `sequence`, `status`, `position`, and the event as `data`. `id` says how far that is, "
        "for who comes back. Between them, comments say that the connection lives.",
        "content": {"text/event-stream": {"schema": {"$ref": REF.format(model=STREAM)}, "example": examples.STREAM}},
    }
    return {
        "operation_id": parameters.__name__,
        "summary": "What happens, while it happens",
        "description": "Server-sent events: `new EventSource(…)` in a browser. It ends when the process does, and for "
        "readers that are too slow; who comes back with the last `id` misses nothing.",
        "response_class": StreamingResponse,
        "responses": {HTTPStatus.OK: stream} | problems(Code.INVALID_REQUEST, Code.UNAVAILABLE, Code.INTERNAL_ERROR),
        "openapi_extra": {"parameters": query_parameters(parameters)},
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the app."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description,
        routes=app.routes, tags=app.openapi_tags, license_info=app.license_info,
    )  # fmt: skip
    others = (ClaimTaskExecution, AwaitTaskExecutions, ActOnTaskExecutions, RerunTaskExecution, Filters)
    schemas = component_schemas(COMMAND_TYPES | {kind.__name__: kind for kind in others})
    for schema in schemas.values():
        schema["description"] = re.sub(_CITATION, "", schema.get("description", ""))
    document["components"] = {"schemas": dict(sorted(schemas.items()))}
    return document


def _meaning(model: type[Contract]) -> str:
    """The model's docstring for those who have our document, but not the specification it cites."""
    return re.sub(_CITATION, "", getdoc(model) or "")


def _answer(
    model: type[Contract], description: str, headers: Iterable[str] = (), example: object = None
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REF.format(model=model.__name__)}}
    if example is not None:
        content["example"] = example
    return {"description": description, "headers": _headers(headers), "content": {JSON: content}}


def problems(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The answers that a route gives instead of its own, by HTTP status."""
    by_status: dict[int, list[Problem]] = defaultdict(list)
    for code in codes:
        example = problem(code, "What was wrong this time, and what to do.")
        by_status[example.status].append(example)
    return {
        status: {
            "description": "; ".join(f"`{example.code}`: {example.title}" for example in kinds),
            "headers": _headers([RETRY_AFTER] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
            "content": {
                PROBLEM_JSON: {
                    "schema": {"$ref": REF.format(model=Problem.__name__)},
                    "examples": {
                        kind.code: {"value": kind.model_dump(mode="json", exclude_none=True)} for kind in kinds
                    },
                }
            },
        }
        for status, kinds in sorted(by_status.items())
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: RESPONSE_HEADERS[name] for name in names}
