"""How workers get work over HTTP, and hear that it is not wanted any more: requests that wait."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response

from service.api.describe import await_route, claim_route
from service.api.names import CLAIMS, ENDS, POSITION
from service.api.principals import principal_parameters, source_of
from service.api.requests import NoParameters, query, read_command, trace_of
from service.contracts.envelope import JSON
from service.ports.claims import AwaitTaskExecutions, Claimed, Claims, ClaimTaskExecution, EndedTaskExecutions

Answer = TypeVar("Answer")


def claim_routes(claims: Claims, principal_header: str | None = None) -> APIRouter:
    """The routes of workers. `principal_header` is the request header that says who calls, if one does."""
    source = source_of(principal_header)
    router = APIRouter(tags=["Workers"], dependencies=[Depends(query(NoParameters))])

    @router.post(CLAIMS, **claim_route(ClaimTaskExecution, principal_parameters(principal_header)))
    async def claim(request: Request) -> Response:
        who, wanted = source(request), await read_command(request, ClaimTaskExecution)
        return _answer(await _unless_gone(request, claims.claim(wanted, who, trace_of(request))))

    @router.post(ENDS, **await_route(AwaitTaskExecutions, EndedTaskExecutions))
    async def ended(request: Request) -> Response:
        awaited = await read_command(request, AwaitTaskExecutions)
        found = await _unless_gone(request, claims.ended(awaited)) or EndedTaskExecutions(items=())
        return Response(found.model_dump_json(), media_type=JSON)

    return router


async def _unless_gone(request: Request, awaited: Coroutine[Any, Any, Answer]) -> Answer | None:
    """What it gives; it ends when the client is gone, so that nothing is claimed for nobody."""
    work = asyncio.create_task(awaited)
    gone = asyncio.ensure_future(request.receive())
    ends: list[asyncio.Future[Any]] = [work, gone]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.gather(gone, work, return_exceptions=True)


def _answer(claimed: Claimed | None) -> Response:
    if claimed is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    headers = {POSITION: str(claimed.position)} if claimed.position else {}
    return Response(claimed.execution.model_dump_json(exclude_none=True), HTTPStatus.OK, headers, JSON)
