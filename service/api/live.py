"""What happens, as server-sent events (HTML, 9.2): for pages and programs that watch."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from service.api.describe import live_route
from service.api.head import IS_HEAD
from service.api.names import ALL
from service.api.requests import query
from service.api.server import max_connections
from service.contracts.problems import Code, reject
from service.ports.live import FollowTaskExecutions, LiveEvents

Following = Annotated[FollowTaskExecutions, Depends(query(FollowTaskExecutions))]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="As `lastEventId`; where both are given, this one counts.")
]

_STREAM: Final = "text/event-stream"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx collects answers otherwise
_SHARE: Final = 0.75
"""Of all connections that there may be: the others are for who asks for something."""


def live_routes(live: LiveEvents) -> APIRouter:
    """The route of the stream."""
    router = APIRouter(tags=["Queries"])

    @router.get(f"{ALL}/events", **live_route(FollowTaskExecutions))
    async def follow(request: Request, wanted: Following, last: LastEventId = None) -> Response:
        if request.scope.get(IS_HEAD):
            return Response(headers=_HEADERS, media_type=_STREAM)
        if live.readers >= _SHARE * max_connections():
            raise reject(Code.UNAVAILABLE, "Too many follow events here already. Come back in a few seconds.")
        if last:
            wanted = wanted.model_copy(update={"last_event_id": last})
        return StreamingResponse(await live.follow(wanted), headers=_HEADERS, media_type=_STREAM)

    return router
