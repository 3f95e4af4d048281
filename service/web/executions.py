"""The list of executions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service.api.ports import Queries
from service.contracts.status import Status
from service.web.asking import asked
from service.web.following import place_of, stream_from
from service.web.forms import chosen
from service.web.listing import PATH, Back, Column, Listing, ShowTaskExecutions
from service.web.rendering import page
from service.web.routing import PageRoute


def execution_list(queries: Queries) -> APIRouter:
    """The route of the list; its query is that of the API's list, and how it is shown."""
    router = APIRouter(route_class=PageRoute)

    @router.get(PATH)
    async def list_(
        request: Request, wanted: Annotated[ShowTaskExecutions, Depends(chosen(ShowTaskExecutions))]
    ) -> Response:
        listing = Listing.of(wanted, request.query_params.multi_items())
        place = await place_of(queries, wanted.min_position)
        found = await asked(queries.list(listing.question))
        values = {
            "found": found.answer, "problem": found.problem, "listing": listing, "wanted": wanted,
            "live": stream_from(place, listing.followed),
            "given": dict(listing.given), "statuses": list(Status), "periods": list(Back), "all_columns": list(Column),
        }  # fmt: skip
        return page(request, "executions.html", values, 200 if found.problem is None else found.problem.status)

    return router
