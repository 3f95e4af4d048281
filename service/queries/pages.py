"""Pages of executions: their total, and the page with what is on it, are read side by side, and made to agree."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, FieldError, reject
from service.contracts.status import Status
from service.ports.filters import Filters
from service.ports.read_model import Order, Place, ReadModel
from service.queries.answers import CountsByStatus, TaskExecutionPage
from service.queries.freshness import Freshness
from service.queries.payloads import whole
from service.queries.requests import ListTaskExecutions, read_cursor, write_cursor

_FAR: Final = 10_000
"""So far from the newest, a page is looked for from the nearer end, which only the total tells."""


def check_page(request: ListTaskExecutions) -> None:
    """What no single field says.

    Raises:
        RejectedError: INVALID_REQUEST, it has both a page number and a cursor, or a cursor of another order.
    """
    if request.cursor is not None and request.page_number != 1:
        error = FieldError(pointer="#/pageNumber", detail="not allowed beside cursor, which says where to go on")
        raise reject(Code.INVALID_REQUEST, "Give either pageNumber or cursor.", (error,))
    if request.cursor is not None and (read_cursor(request.cursor).run_ms is None) != (request.sort is Order.CREATED):
        error = FieldError(pointer="#/cursor", detail=f"not of a list with sort={request.sort}")
        raise reject(
            Code.INVALID_REQUEST, "Give a cursor with the sort and the filters of the list it is of.", (error,)
        )


async def execution_page(read_model: ReadModel, request: ListTaskExecutions, fresh: Freshness) -> TaskExecutionPage:
    """Newest first by (createdAt, executionId), or longest first by (run time, createdAt, executionId).

    An item fits the filters as it is shown: what has gone on since it was found is left out.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    after = None if request.cursor is None else read_cursor(request.cursor)
    offset = 0 if request.cursor is not None else (request.page_number - 1) * request.page_size
    counting = read_model.total(request, request.sort, counting=request.counts)
    if offset > _FAR:
        total, counts = await counting
        items, last = await _read(read_model, request, offset, after, total)
    else:
        (total, counts), (items, last) = await asyncio.gather(counting, _read(read_model, request, offset, after))
    if request.cursor is None and (items or not offset):
        # Both are exact, of moments close to each other: what is on the page is there.
        total = max(total, offset + len(items) + 1) if last else offset + len(items)
    total = max(total, len(items))
    return TaskExecutionPage(
        items=items,
        total=total,
        counts=None if counts is None else _agreeing(counts, request.status or tuple(Status), total, items),
        page_number=request.page_number if request.cursor is None else None,
        page_size=request.page_size,
        next_cursor=write_cursor(last) if last else None,
        **asdict(fresh),
    )


async def _read(
    read_model: ReadModel, request: ListTaskExecutions, offset: int, after: Place | None, total: int | None = None
) -> tuple[tuple[TaskExecution, ...], Place | None]:
    """Those of the page, and the place of the last one if there are more."""
    wanted = request.page_size + 1
    listed = await read_model.page(request, wanted, request.sort, offset=offset, after=after, total=total)
    items: list[TaskExecution] = []
    while True:
        full = len(listed) == wanted
        shown = listed[: request.page_size - len(items)]
        items += [item for item in await whole(shown, read_model) if _fits(item, request)]
        if len(items) == request.page_size or not full:
            return tuple(items), shown[-1].place if len(listed) > len(shown) else None
        wanted = request.page_size - len(items) + 1
        listed = await read_model.page(request, wanted, request.sort, after=shown[-1].place)


def _agreeing(
    counts: Mapping[Status, int], wanted: Sequence[Status], total: int, items: Sequence[TaskExecution]
) -> CountsByStatus:
    """The counts, so that those of the wanted statuses add up to the total, which the page may have changed.

    What came in since they were read is like the newest; what went on was open.
    """
    agreeing = dict(counts)
    missing = total - sum(counts[status] for status in wanted)
    if missing > 0:
        agreeing[items[0].status] += missing
    for status in sorted(wanted, key=[*Status].index):
        gone = min(max(-missing, 0), agreeing[status])
        agreeing[status] -= gone
        missing += gone
    return CountsByStatus(**{status.lower(): count for status, count in agreeing.items()})


def _fits(item: TaskExecution, filters: Filters) -> bool:
    """Whether it is still in a wanted status: where none has ended, one can have gone on."""
    return not filters.status or item.status in filters.status
