"""The queries on task executions (spec, Queries). All exact; each says how fresh it is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from typing import Any, Final, TypeVar

import structlog

from service.contracts.problems import Code, RejectedError, reject
from service.contracts.replies import Position
from service.contracts.timestamps import Timestamp
from service.ports.errors import UnavailableError
from service.ports.filters import CreationFilters
from service.ports.log_ends import LogEnds
from service.ports.read_model import Grouping, ReadModel, StoredBody, StoredEvent
from service.queries.answers import (
    RecordedEvent,
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
from service.queries.failures import failure_groups
from service.queries.freshness import Freshness, Progress
from service.queries.graph import graph_around
from service.queries.inbox import failure_inbox
from service.queries.pages import check_page, execution_page
from service.queries.payloads import bodies, fold, has_begun
from service.queries.projection import ProjectionStatus, projection_status
from service.queries.rejections import one_rejection, rejection_page
from service.queries.requests import (
    GetTaskCommandRejection,
    GetTaskExecution,
    GetTaskExecutionFailureInbox,
    GetTaskExecutionFailures,
    GetTaskExecutionStats,
    ListTaskCommandRejections,
    ListTaskExecutions,
    check,
)
from service.queries.statistics import FailingTasks, failing_tasks, stats_of, status_counts

log = structlog.get_logger(__name__)

AnyStored = TypeVar("AnyStored", StoredBody, StoredEvent)

PATIENCE_SECONDS: Final = 10.0
"""How long a query waits for its `min_position`."""


class TaskExecutionQueries:
    """Answers from the read model alone.

    `partitions`: how many the events topic has. `patience`: how many seconds a query waits for its `min_position`.
    `ends`: who tells where Kafka's topics end; without, nobody can say how far behind the read side is.
    Arguments may be what came over the wire: texts, numbers. `min_position`: see `contracts.replies.Position`.

    Raises:
        RejectedError: by every query. INVALID_REQUEST with what is wrong; EXECUTION_NOT_FOUND; PROJECTION_BEHIND,
            `min_position` was not reached in time; UNAVAILABLE, the read model did not answer.
    """

    def __init__(
        self, read_model: ReadModel, partitions: int, patience: float = PATIENCE_SECONDS, ends: LogEnds | None = None
    ) -> None:
        self._read_model = read_model
        self._outage = False
        self._ends = ends
        self._progress = Progress(read_model, partitions, patience)

    async def get(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionAnswer:
        """The whole record (spec, GetTaskExecution)."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        events, fresh = await self._found(request, self._read_model.bodies)
        kept_since = self._read_model.payloads_kept_since()
        folded = await asyncio.to_thread(fold, events, events[0].created_ms, kept_since)
        return TaskExecutionAnswer(**dict(folded), **asdict(fresh))

    async def history(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionHistory:
        """Everything that happened to it, in order."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        events, fresh = await self._found(request, self._read_model.events)
        kept, dropped = bodies(events, self._read_model.payloads_kept_since())
        items = tuple(
            RecordedEvent(
                type=event.type,
                time=Timestamp.parse(body["occurredAt"]),
                status=body["status"],
                position=Position(partition=event.partition, offset=event.offset),
                data=body,
            )
            for event, body in zip(events, kept, strict=True)
        )
        return TaskExecutionHistory(
            execution_id=request.execution_id, items=items, payloads_dropped=dropped or None, **asdict(fresh)
        )

    async def graph(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionGraph:
        """What it waits for and what waits for it."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            graph = await graph_around(self._read_model, request.execution_id, fresh)
        if graph is None:
            raise _not_found(request, fresh)
        return graph

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        """A page; filters combine (spec, ListTaskExecutions). See `execution_page`."""
        check_page(request)
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            return await execution_page(self._read_model, request, fresh)

    async def stats(
        self,
        task_id: str | None = None,
        min_position: Position | str | None = None,
        **given: Any,  # noqa: ANN401 - what comes from outside may be anything
    ) -> TaskExecutionStats:
        """Counts by status, of one task or of all (spec, GetTaskExecutionStats); `given`: see GetTaskExecutionStats."""
        request = check(GetTaskExecutionStats, task_id=task_id, min_position=min_position, **given)
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            return await stats_of(self._read_model, request, fresh)

    async def failing_tasks(self, created_from: Timestamp, limit: int) -> FailingTasks:
        """The tasks with most failures among the executions that were created since then."""
        with self._refusing_outages():
            return await failing_tasks(self._read_model, CreationFilters(created_from=created_from), limit)

    async def stats_by_task(self) -> Sequence[TaskExecutionStats]:
        """The counts of every task that was ever executed, by its id."""
        fresh = await self._fresh(None)
        with self._refusing_outages():
            by_task = await self._read_model.counts(CreationFilters(), Grouping.TASK_ID)
        return [
            TaskExecutionStats(task_id=task_id, **status_counts(counts), **asdict(fresh))
            for task_id, counts in by_task.items()
        ]

    async def failures(self, request: GetTaskExecutionFailures) -> TaskExecutionFailures:
        """The failures that fit, grouped by the fingerprint of their error message."""
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            return await failure_groups(self._read_model, request, fresh)

    async def inbox(self, request: GetTaskExecutionFailureInbox) -> TaskExecutionFailureInbox:
        """The failures that fit, one by one, each with the run that cured it."""
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            return await failure_inbox(self._read_model, request, fresh)

    async def projection(self) -> ProjectionStatus:
        """How far the read side is behind Kafka, and whether it follows."""
        with self._refusing_outages():
            ends = await self._ends.ends() if self._ends else {}
            positions = await self._progress.recent()
        return projection_status(positions, ends, Timestamp.now(UTC))

    async def next_offsets(self) -> Sequence[int] | None:
        """Where the events go on that an answer which is asked for after this may lack. See `Progress`."""
        with self._refusing_outages():
            return await self._progress.next_offsets()

    async def rejections(self, request: ListTaskCommandRejections) -> TaskCommandRejectionPage:
        """The commands that were refused, newest first; filters combine."""
        with self._refusing_outages():
            return await rejection_page(self._read_model, request)

    async def rejection(self, position: Position | str) -> TaskCommandRejection:
        """A refused command, with the record as it came; NOT_FOUND if there is none at this place."""
        request = check(GetTaskCommandRejection, position=position)
        with self._refusing_outages():
            return await one_rejection(self._read_model, request)

    async def rejections_count(self) -> int:
        """How many refused commands are kept."""
        with self._refusing_outages():
            return await self._read_model.rejections_total()

    @contextmanager
    def _refusing_outages(self) -> Iterator[None]:
        """An outage is told of once, when it begins, and when it is over."""
        try:
            yield
        except UnavailableError as error:
            if not self._outage:
                self._outage = True
                log.warning("read_model_unavailable", error=str(error))
            detail = "The read side does not answer now. Ask again in a few seconds."
            raise reject(Code.UNAVAILABLE, detail) from error
        if self._outage:
            self._outage = False
            log.info("read_model_available")

    async def _found(
        self, request: GetTaskExecution, read: Callable[[str], Awaitable[Sequence[AnyStored]]]
    ) -> tuple[Sequence[AnyStored], Freshness]:
        fresh = await self._fresh(request.min_position)
        with self._refusing_outages():
            events = await read(request.execution_id)
        if not has_begun(events):
            raise _not_found(request, fresh)
        return events, fresh

    async def _fresh(self, min_position: str | None) -> Freshness:
        with self._refusing_outages():
            return await self._progress.freshness(min_position)


def _not_found(request: GetTaskExecution, fresh: Freshness) -> RejectedError:
    return reject(
        Code.EXECUTION_NOT_FOUND,
        f"There is no task execution {request.execution_id} as of {fresh.as_of} ({fresh.lag} events behind). "
        "If it was made just now, ask with the position in the reply to its command as minPosition.",
    )
