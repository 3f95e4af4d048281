"""The first page: how everything fares."""

from datetime import UTC
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from service.api.ports import Queries
from service.api.requests import query
from service.contracts.timestamps import Timestamp
from service.queries.requests import GetTaskExecutionFailures
from service.web.asking import together
from service.web.periods import OfPeriod, Period, slots_of
from service.web.rendering import page
from service.web.routing import VARY, BrowserRoute
from service.web.trends import trend_of

_CAUSES: Final = 8
_TASKS: Final = 10


def overview(queries: Queries) -> APIRouter:
    """The route of the page."""
    router = APIRouter(route_class=BrowserRoute)

    @router.get("/")
    async def show(request: Request, wanted: Annotated[OfPeriod, Depends(query(OfPeriod))]) -> Response:
        slots = slots_of(wanted.period, Timestamp.now(UTC))
        found = await together(
            stats=queries.stats(created_from=slots.begin, group_by=slots.grouping, times=True),
            tasks=queries.failing_tasks(slots.begin, _TASKS),
            failures=queries.failures(GetTaskExecutionFailures(created_from=slots.begin, limit=_CAUSES)),
            projection=queries.projection(),
        )
        stats = found["stats"].answer
        values = {
            "slots": slots,
            "periods": tuple(Period),
            "trend": stats and trend_of(stats, slots),
            "minutes": (Timestamp.now(UTC) - slots.begin).total_seconds() / 60,
        }
        shown = page(request, "overview.html", found | values)
        shown.headers["Vary"] = VARY
        return shown

    return router
