"""The list of executions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service.api.ports import Queries
from service.api.requests import query
from service.queries.requests import ListTaskExecutions
from service.web.rendering import page
from service.web.routing import PageRoute


def execution_list(queries: Queries) -> APIRouter:
    """The route of the list; its query is that of the API's list."""
    router = APIRouter(route_class=PageRoute)

    @router.get("/executions")
    async def list_(
        request: Request, wanted: Annotated[ListTaskExecutions, Depends(query(ListTaskExecutions))]
    ) -> Response:
        found = await queries.list(wanted.model_copy(update={"counts": True}))
        return page(request, "executions.html", {"found": found, "wanted": wanted})

    return router
