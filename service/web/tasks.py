"""The pages of tasks: all of them, and how one fares."""

from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from service.api.definitions import PathTask
from service.api.ports import Queries
from service.api.requests import query
from service.contracts.timestamps import Timestamp
from service.ports.read_model import Grouping, GroupOrder
from service.queries.answers import InboxFailure
from service.queries.requests import GetTaskExecutionFailureInbox
from service.web.asking import together
from service.web.forms import chosen
from service.web.periods import OfPeriod, Period, slots_of
from service.web.rendering import page
from service.web.routing import PageRoute
from service.web.trends import trend_of
from service.web.versions import compared

_TASK: Final = "/tasks/{taskId}"
_FAILURES: Final = 50
_LISTED: Final = 50
_ORDERS: Final = {GroupOrder.TOTAL: "most runs", GroupOrder.FAILURE: "most failures", GroupOrder.KEY: "id"}


class AskedTasks(OfPeriod):
    """The query of the list."""

    text: str = Field(default="", max_length=200, description="Only tasks with this in their id, whatever the case.")
    sort: GroupOrder = Field(default=GroupOrder.TOTAL, description="What comes first.")


def task_pages(queries: Queries) -> APIRouter:
    """The routes of the pages."""
    router = APIRouter(route_class=PageRoute)

    @router.get("/tasks")
    async def list_(request: Request, wanted: Annotated[AskedTasks, Depends(chosen(AskedTasks))]) -> Response:
        slots = slots_of(wanted.period, Timestamp.now(UTC))
        found = await queries.stats(
            created_from=slots.begin, group_by=Grouping.TASK_ID, times=True, sort=wanted.sort, limit=_LISTED,
            group_text=wanted.text or None,
        )  # fmt: skip
        values = {"found": found, "wanted": wanted, "slots": slots, "periods": tuple(Period), "orders": _ORDERS}
        return page(request, "tasks.html", values)

    @router.get(_TASK)
    async def show(
        request: Request, task_id: PathTask, wanted: Annotated[OfPeriod, Depends(query(OfPeriod))]
    ) -> Response:
        slots = slots_of(wanted.period, Timestamp.now(UTC))
        begin = slots.begin
        found = await together(
            stats=queries.stats(task_id, created_from=begin, group_by=slots.grouping, times=True),
            versions=queries.stats(task_id, created_from=begin, group_by=Grouping.TASK_VERSION, times=True),
            inbox=queries.inbox(GetTaskExecutionFailureInbox(task_id=task_id, created_from=begin, limit=_FAILURES)),
        )
        stats, versions, inbox = found["stats"].answer, found["versions"].answer, found["inbox"].answer
        values = {
            "task_id": task_id,
            "slots": slots,
            "periods": tuple(Period),
            "trend": stats and trend_of(stats, slots, task_id),
            "compared": versions and compared(versions.groups or ()),
            "causes": by_cause(inbox.items if inbox else ()),
        }
        return page(request, "task.html", found | values)

    return router


def by_cause(failures: Iterable[InboxFailure]) -> dict[str, list[InboxFailure]]:
    """By fingerprint, in the order of their newest."""
    causes: dict[str, list[InboxFailure]] = {}
    for one in failures:
        causes.setdefault(one.fingerprint, []).append(one)
    return causes
