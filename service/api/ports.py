"""What the API needs of the queries and of the pages. The composition root connects them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastapi import APIRouter, Request, Response

from service.contracts.problems import Problem
from service.contracts.timestamps import Timestamp
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
    GetTaskExecutionFailureInbox,
    GetTaskExecutionFailures,
    ListTaskCommandRejections,
    ListTaskExecutions,
)
from service.queries.statistics import FailingTasks


class Queries(Protocol):
    """Answers queries from the read side. Whoever implements it owns the connection and its time limits.

    With `min_position` (`partition:offset`), an answer includes the event at that place, or the query is refused.

    Raises:
        RejectedError: execution_not_found, invalid_request (a cursor that is none), projection_behind, unavailable.
    """

    async def get(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionAnswer:
        """The whole record of an execution."""
        ...

    async def history(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionHistory:
        """All events of an execution, in order."""
        ...

    async def graph(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionGraph:
        """What an execution waits for, and what waits for it."""
        ...

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        """A page of executions, newest or longest first."""
        ...

    async def failures(self, request: GetTaskExecutionFailures) -> TaskExecutionFailures:
        """Failures, grouped by the fingerprint of their error message."""
        ...

    async def inbox(self, request: GetTaskExecutionFailureInbox) -> TaskExecutionFailureInbox:
        """Failures one by one, each with the run that cured it."""
        ...

    async def rejections(self, request: ListTaskCommandRejections) -> TaskCommandRejectionPage:
        """The commands that were refused, newest first."""
        ...

    async def rejection(self, position: str) -> TaskCommandRejection:
        """A refused command, with the record as it came."""
        ...

    async def projection(self) -> ProjectionStatus:
        """How far the read side is behind Kafka, and whether it follows."""
        ...

    async def next_offsets(self) -> Sequence[int] | None:
        """Who asks for something after this, and then follows the events from these offsets on, misses nothing.

        Of each partition; None where that is not known, or there may be very many.
        """
        ...

    async def stats(self, task_id: str | None = None, **given: Any) -> TaskExecutionStats:  # noqa: ANN401 - see there
        """Counts by status; `given` are the other fields of `GetTaskExecutionStats`."""
        ...

    async def failing_tasks(self, created_from: Timestamp, limit: int) -> FailingTasks:
        """The tasks with most failures among the executions that were created since then."""
        ...


class Pages(NamedTuple):
    """What people look at, beside the API.

    `problem` is the problem as a page, for a request that asks for one; None for those that do not.
    """

    routes: APIRouter
    problem: Callable[[Request, Problem], Response | None]
