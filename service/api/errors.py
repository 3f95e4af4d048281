"""Where errors become HTTP answers, once for all routes: always RFC 9457, never a stack trace."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.api.names import IDEMPOTENCY_KEY, RETRY_AFTER
from service.api.ports import Pages
from service.contracts.codec import pointer
from service.contracts.problems import Code, FieldError, Problem, RejectedError, problem
from service.contracts.replies import CommandUnansweredError
from service.contracts.wording import detail_of

PROBLEM_JSON: Final = "application/problem+json"

_RETRY_AFTER: Final = {Code.PROJECTION_BEHIND: "1", Code.UNAVAILABLE: "5"}
_METHOD_NOT_ALLOWED: Final = 405


def problem_response(answer: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as an HTTP answer, with Retry-After where trying again later can help."""
    retry = {RETRY_AFTER: _RETRY_AFTER[answer.code]} if answer.code in _RETRY_AFTER else {}
    return Response(
        answer.model_dump_json(exclude_none=True), answer.status, {**retry, **(headers or {})}, PROBLEM_JSON
    )


def translate_errors(app: FastAPI, pages: Pages | None = None) -> None:
    """Answer every error of this app as a problem, and people with a page of it.

    An unforeseen one is also passed on to the server, which logs it.
    """

    async def answered(request: Request, error: Exception) -> Response:
        answer, headers = _problem_of(request, error)
        shown = pages.problem(request, answer) if pages else None
        if shown is None:
            return problem_response(answer, headers)
        shown.headers.update(headers)
        return shown

    for kind in (RejectedError, CommandUnansweredError, RequestValidationError, HTTPException, ClientDisconnect):
        app.add_exception_handler(kind, answered)
    app.add_exception_handler(Exception, answered)


def invalid(error: RequestValidationError) -> Problem:
    """What FastAPI found in the path or in a header, in our words."""
    errors = tuple(FieldError(pointer=pointer("#", *e["loc"]), detail=detail_of(e)) for e in error.errors())
    return problem(Code.INVALID_REQUEST, "The request is not valid: see errors.", errors)


def _problem_of(request: Request, error: Exception) -> tuple[Problem, Mapping[str, str]]:
    headers: Mapping[str, str] = {}
    match error:
        case RejectedError():
            answer = error.problem
        case CommandUnansweredError():
            answer = problem(
                Code.UNAVAILABLE,
                "No answer to the command came in time: it may still be carried out. Send the same request again with "
                f"the header {IDEMPOTENCY_KEY}: {error.id}, and it will not be carried out twice.",
            )
            headers = {IDEMPOTENCY_KEY: error.id or ""}
        case RequestValidationError():
            answer = invalid(error)
        case HTTPException(status_code=status) if status == _METHOD_NOT_ALLOWED:
            allowed = _methods(request)
            headers = {"Allow": allowed}
            detail = f"{request.url.path} does not support {request.method}; it supports {allowed}."
            answer = problem(Code.METHOD_NOT_ALLOWED, detail)
        case HTTPException():
            detail = f"There is nothing at {request.url.path}. /openapi.json describes all that there is."
            answer = problem(Code.NOT_FOUND, detail)
        case ClientDisconnect():
            answer = problem(Code.INVALID_REQUEST, "The connection ended before the whole body had come.")
        case _:
            detail = "The service met an error that it did not foresee. Its log says more; tell its operators."
            answer = problem(Code.INTERNAL_ERROR, detail)
    return answer, headers


def _methods(request: Request) -> str:
    """The methods of all routes with this path; the router itself tells those of the first one only."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.path_regex.match(request.url.path):
            found |= route.methods or set()
    if "GET" in found:
        found.add("HEAD")
    return ", ".join(sorted(found))
