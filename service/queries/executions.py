"""The queries on task executions (spec, Queries). All exact; each says how fresh it is."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

import structlog

from service.contracts.codec import decode
from service.contracts.problems import Code, FieldError, reject
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.errors import UnavailableError
from service.ports.read_model import Counts, ListedExecution, ReadModel, StoredEvent
from service.queries.answers import (
    RecordedEvent,
    TaskExecutionAnswer,
    TaskExecutionHistory,
    TaskExecutionPage,
    TaskExecutionStats,
)
from service.queries.freshness import Freshness, Progress
from service.queries.payloads import fold, whole
from service.queries.requests import (
    GetTaskExecution,
    GetTaskExecutionStats,
    ListTaskExecutions,
    check,
    read_cursor,
    write_cursor,
)

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 10.0
"""How long a query waits for its `min_position`."""


class TaskExecutionQueries:
    """Answers from the read model alone.

    `partitions`: how many the events topic has. `patience`: how many seconds a query waits for its `min_position`.
    Arguments may be what came over the wire: texts, numbers. `min_position`: see `contracts.replies.Position`.

    Raises:
        RejectedError: by every query. INVALID_REQUEST with what is wrong; EXECUTION_NOT_FOUND; PROJECTION_BEHIND,
            `min_position` was not reached in time; UNAVAILABLE, the read model did not answer.
    """

    def __init__(self, read_model: ReadModel, partitions: int, patience: float = PATIENCE_SECONDS) -> None:
        self._read_model = read_model
        self._progress = Progress(read_model, partitions, patience)

    async def get(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionAnswer:
        """The whole record (spec, GetTaskExecution)."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        events, fresh = await self._events(request)
        return TaskExecutionAnswer(**dict(await asyncio.to_thread(fold, events)), **asdict(fresh))

    async def history(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionHistory:
        """Everything that happened to it, in order."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        events, fresh = await self._events(request)
        items = tuple(
            RecordedEvent(
                type=event.type,
                time=Timestamp.from_epoch_ms(event.time),
                status=Status(event.status),
                position=Position(partition=event.partition, offset=event.offset),
                data=decode(event.payload.encode()),
            )
            for event in events
        )
        return TaskExecutionHistory(execution_id=request.execution_id, items=items, **asdict(fresh))

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        """Newest first by (createdAt, executionId); filters combine (spec, ListTaskExecutions).

        An item is as it was when it was found to fit the filters, even if it has changed since.
        """
        if request.cursor is not None and request.page_number != 1:
            error = FieldError(pointer="#/pageNumber", detail="not allowed beside cursor, which says where to go on")
            raise reject(Code.INVALID_REQUEST, "Give either pageNumber or cursor.", (error,))
        fresh = await self._fresh(request.min_position)
        with _refusing_outages():
            total, found = await asyncio.gather(self._read_model.total(request), self._page(request))
            listed = found[: request.page_size]
            items = tuple(await whole(listed, self._read_model))
        return TaskExecutionPage(
            items=items,
            total=total,
            page_number=request.page_number if request.cursor is None else None,
            page_size=request.page_size,
            next_cursor=write_cursor(listed[-1].place) if len(found) > len(listed) else None,
            **asdict(fresh),
        )

    async def stats(self, task_id: str | None = None, min_position: Position | str | None = None) -> TaskExecutionStats:
        """Counts by status, of one task or of all (spec, GetTaskExecutionStats)."""
        request = check(GetTaskExecutionStats, task_id=task_id, min_position=min_position)
        fresh = await self._fresh(request.min_position)
        with _refusing_outages():
            return _stats(request.task_id, await self._read_model.counts(request.task_id), fresh)

    async def stats_by_task(self) -> Sequence[TaskExecutionStats]:
        """The counts of every task that was ever executed, by its id."""
        fresh = await self._fresh(None)
        with _refusing_outages():
            by_task = await self._read_model.counts_by_task()
        return [_stats(task_id, counts, fresh) for task_id, counts in by_task.items()]

    async def rejections_count(self) -> int:
        """How many commands were ever refused."""
        with _refusing_outages():
            return await self._read_model.rejections_total()

    async def _events(self, request: GetTaskExecution) -> tuple[Sequence[StoredEvent], Freshness]:
        fresh = await self._fresh(request.min_position)
        with _refusing_outages():
            events = await self._read_model.events([request.execution_id])
        if not events:
            raise reject(
                Code.EXECUTION_NOT_FOUND,
                f"There is no task execution {request.execution_id} as of {fresh.as_of} ({fresh.lag} events behind). "
                "If it was made just now, ask with the position in the reply to its command as minPosition.",
            )
        return events, fresh

    async def _page(self, request: ListTaskExecutions) -> Sequence[ListedExecution]:
        """The executions of the page, and one more if there are more."""
        limit = request.page_size + 1
        if request.cursor is not None:
            return await self._read_model.page(request, limit, after=read_cursor(request.cursor))
        return await self._read_model.page(request, limit, offset=(request.page_number - 1) * request.page_size)

    async def _fresh(self, min_position: str | None) -> Freshness:
        with _refusing_outages():
            return await self._progress.freshness(min_position)


def _stats(task_id: str | None, counts: Counts, fresh: Freshness) -> TaskExecutionStats:
    by_status = {status.lower(): count for status, count in counts.items()}
    return TaskExecutionStats(task_id=task_id, total=sum(counts.values()), **by_status, **asdict(fresh))


@contextmanager
def _refusing_outages() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        log.warning("read_model_unavailable", error=str(error))
        detail = "The read side does not answer now. Ask again in a few seconds."
        raise reject(Code.UNAVAILABLE, detail) from error
