"""Queries over HTTP: the parameters are those of `service.queries`, so are the answers."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from service.api.commands import PathId
from service.api.describe import query_route
from service.api.names import ALL, FAILURES, ONE, REJECTIONS
from service.api.ports import Queries
from service.api.requests import NoParameters, query
from service.contracts.envelope import JSON
from service.contracts.model import Contract
from service.contracts.problems import Code, FieldError, Problem, RejectedError
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
from service.queries.requests import (
    POSITION_PATTERN,
    Fresh,
    GetTaskExecutionFailureInbox,
    GetTaskExecutionFailures,
    GetTaskExecutionStats,
    ListTaskCommandRejections,
    ListTaskExecutions,
)

Reading = Annotated[Fresh, Depends(query(Fresh))]
Listing = Annotated[ListTaskExecutions, Depends(query(ListTaskExecutions))]
Rejections = Annotated[ListTaskCommandRejections, Depends(query(ListTaskCommandRejections))]
PathPosition = Annotated[
    str,
    Path(
        alias="rejectionPosition",
        pattern=POSITION_PATTERN,
        description="The `position` of a refused command, as `partition:offset`.",
    ),
]
Failing = Annotated[GetTaskExecutionFailures, Depends(query(GetTaskExecutionFailures))]
Inbox = Annotated[GetTaskExecutionFailureInbox, Depends(query(GetTaskExecutionFailureInbox))]
Counting = Annotated[GetTaskExecutionStats, Depends(query(GetTaskExecutionStats))]


def query_routes(queries: Queries) -> APIRouter:
    """The routes that only read."""
    router = APIRouter(tags=["Queries"])
    one = (Fresh, Code.EXECUTION_NOT_FOUND)

    @router.get(
        ALL,
        **query_route("ListTaskExecutions", "List, newest or longest first", TaskExecutionPage, ListTaskExecutions),
    )
    async def list_(wanted: Listing) -> Response:
        return await _answer(queries.list(wanted))

    @router.get(
        ONE,
        **query_route("GetTaskExecution", "The whole record", TaskExecutionAnswer, *one),
    )
    async def get(execution_id: PathId, fresh: Reading) -> Response:
        return await _answer(queries.get(execution_id, min_position=fresh.min_position))

    @router.get(
        f"{ONE}/history",
        **query_route("GetTaskExecutionHistory", "Everything that happened to it", TaskExecutionHistory, *one),
    )
    async def history(execution_id: PathId, fresh: Reading) -> Response:
        return await _answer(queries.history(execution_id, min_position=fresh.min_position))

    @router.get(
        f"{ONE}/graph",
        **query_route("GetTaskExecutionGraph", "What it waits for, and what waits for it", TaskExecutionGraph, *one),
    )
    async def graph(execution_id: PathId, fresh: Reading) -> Response:
        return await _answer(queries.graph(execution_id, min_position=fresh.min_position))

    @router.get(
        "/task-execution-stats",
        **query_route("GetTaskExecutionStats", "Counts by status", TaskExecutionStats, GetTaskExecutionStats),
    )
    async def stats(wanted: Counting) -> Response:
        return await _answer(queries.stats(**{name: getattr(wanted, name) for name in wanted.model_fields_set}))

    @router.get(
        FAILURES,
        **query_route(
            "GetTaskExecutionFailures", "Failures by what they say", TaskExecutionFailures, GetTaskExecutionFailures
        ),
    )
    async def failures(wanted: Failing) -> Response:
        return await _answer(queries.failures(wanted))

    @router.get(
        f"{FAILURES}/inbox",
        **query_route(
            "GetTaskExecutionFailureInbox",
            "Failures, with what cured each",
            TaskExecutionFailureInbox,
            GetTaskExecutionFailureInbox,
        ),
    )
    async def inbox(wanted: Inbox) -> Response:
        return await _answer(queries.inbox(wanted))

    @router.get(
        "/projection",
        **query_route("GetProjection", "How far answers are behind", ProjectionStatus, NoParameters),
    )
    async def projection(_: Annotated[NoParameters, Depends(query(NoParameters))]) -> Response:
        return await _answer(queries.projection())

    _add_rejections(router, queries)
    return router


def _add_rejections(router: APIRouter, queries: Queries) -> None:
    @router.get(
        REJECTIONS,
        **query_route(
            "ListTaskCommandRejections", "Refused commands", TaskCommandRejectionPage, ListTaskCommandRejections
        ),
    )
    async def rejections(wanted: Rejections) -> Response:
        return await _answer(queries.rejections(wanted))

    @router.get(
        REJECTIONS + "/{rejectionPosition}",
        **query_route(
            "GetTaskCommandRejection", "A refused command", TaskCommandRejection, NoParameters, Code.NOT_FOUND
        ),
    )
    async def rejection(position: PathPosition, _: Annotated[NoParameters, Depends(query(NoParameters))]) -> Response:
        return await _answer(queries.rejection(position))


async def _answer(asked: Awaitable[Contract]) -> Response:
    try:
        answer = await asked
    except RejectedError as refused:
        raise RejectedError(_in_the_query_string(refused.problem)) from None
    return Response(answer.model_dump_json(exclude_none=True), media_type=JSON, headers={"Cache-Control": "no-store"})


def _in_the_query_string(problem: Problem) -> Problem:
    """Whoever asks, the queries point to their parameters; here, those are in the query string."""
    errors = tuple(
        FieldError(pointer=error.pointer.replace("#/", "#/query/", 1), detail=error.detail) for error in problem.errors
    )
    return problem.model_copy(update={"errors": errors})
