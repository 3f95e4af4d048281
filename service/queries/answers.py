"""What queries answer. Every answer says how fresh it is.

`asOf`: everything published until then is in the answer, but for the newest `lag` offsets of the events topic. An old
`asOf` means that the projector does not run; both are absent if it never ran.
"""

from enum import StrEnum
from typing import Any

from pydantic import Field

from service.contracts.executions import PayloadsDropped, TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Problem
from service.contracts.rejections import OriginalRecord
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp


class TaskExecutionAnswer(TaskExecution):
    """One execution, whole."""

    as_of: Timestamp | None = None
    lag: int | None = None


class CountsByStatus(Contract):
    """How many executions are in each status."""

    pending: int
    running: int
    success: int
    failure: int
    stopped: int
    skipped: int


class TaskExecutionPage(Contract):
    """A page of whole executions, newest or longest first. `nextCursor` is there if more follow.

    `pageNumber` is there unless the page was asked for by cursor. Of payloads, a page holds 16 MiB; after that,
    executions are listed without `resolvedInputs` and `outputs`.
    """

    items: tuple[TaskExecution, ...]
    total: int = Field(description="All executions that fit the filters, exactly.")
    counts: CountsByStatus | None = Field(
        default=None,
        description="How many fit all filters but `status`, by status: what asking for another one would give. "
        "Those of the wanted statuses add up to `total`. There if `counts` was asked for.",
    )
    page_number: int | None = None
    page_size: int
    next_cursor: str | None = None
    as_of: Timestamp | None = None
    lag: int | None = None


class RecordedEvent(Contract):
    """One event of an execution; `data` is its body as it was published, `position` its place in the events topic.

    Where payloads were dropped, `data` is without `resolvedInputs` and `outputs`.
    """

    type: str
    time: Timestamp
    status: Status
    position: Position
    data: dict[str, Any]


class TaskExecutionHistory(Contract):
    """All events of one execution, in order."""

    execution_id: str
    items: tuple[RecordedEvent, ...]
    payloads_dropped: PayloadsDropped = None
    as_of: Timestamp | None = None
    lag: int | None = None


class GraphNode(Contract):
    """An execution. `node` is what those that wait for it call it; without `status`, it is not there, or not yet."""

    id: str
    node: str | None = None
    task_id: str | None = None
    status: Status | None = None
    retried_by: str | None = Field(default=None, description="The next attempt, if it failed and is tried again.")


class GraphEdge(Contract):
    """`downstream` waits for `upstream`; with a `condition`, for that output of it to be true."""

    upstream: str
    downstream: str
    condition: str | None = None


class TaskExecutionGraph(Contract):
    """What an execution waits for and what waits for it, however far; the nearest first.

    The edges are what was asked for (`dependsOn`): where something is tried again, they lead to the first attempt.
    """

    execution_id: str
    nodes: tuple[GraphNode, ...] = Field(description="At most 1,000; the first one is the execution itself.")
    edges: tuple[GraphEdge, ...] = Field(description="All between these nodes.")
    truncated: bool = Field(description="Whether there are more nodes than are told.")
    as_of: Timestamp | None = None
    lag: int | None = None


class Percentiles(Contract):
    """Of durations, in milliseconds. `timesError` says how exact they are."""

    p50: int
    p90: int
    p95: int
    p99: int


class StatusCounts(CountsByStatus):
    """How many executions are in which status; the six add up to `total`."""

    total: int
    success_rate: float | None = Field(
        default=None, description="SUCCESS among those that ended in SUCCESS or FAILURE; absent if none did."
    )
    queue_time: Percentiles | None = Field(
        default=None, description="From creation to start, of those that started. There if `times` was asked for."
    )
    run_time: Percentiles | None = Field(
        default=None, description="From start to end, of those that ended. There if `times` was asked for."
    )


class TaskExecutionGroup(StatusCounts):
    """The executions with this `key`: a task, version or principal, or the hour, say, that they were created in."""

    key: str


class TaskExecutionStats(StatusCounts):
    """How many executions are in which status; the six add up to `total`. `taskId` is absent if it is of all tasks.

    `groups` are there if `groupBy` was asked for, in the order that was, and `groupCount`.
    """

    task_id: str | None = None
    groups: tuple[TaskExecutionGroup, ...] | None = None
    group_count: int | None = Field(default=None, description="How many groups there are, listed or not.")
    times_error: float | None = Field(
        default=None,
        description="How far a percentile may be from the exact one, relative to it, if more than a millisecond; "
        "0: they are exact. There if `times` was asked for.",
    )
    as_of: Timestamp | None = None
    lag: int | None = None


class TaskExecutionFailureGroup(Contract):
    """Failures that look alike. `executionId` is the newest of them, `errorMessage` the beginning of its message."""

    fingerprint: str = Field(
        description="The beginning of the message, without what differs from one to the next: `<id>`, `<path>` and "
        "`<n>` stand for ids, paths and numbers. Lists can be narrowed by it."
    )
    count: int
    tasks: tuple[str, ...] = Field(description="The tasks with most of these failures, at most five.")
    task_count: int
    first_seen: Timestamp
    last_seen: Timestamp
    execution_id: str
    error_message: str | None = None


class TaskExecutionFailures(Contract):
    """Failures, grouped by the fingerprint of their error message; the largest groups first, then the newest."""

    items: tuple[TaskExecutionFailureGroup, ...]
    total: int = Field(description="All failures that fit the filters, exactly.")
    group_count: int = Field(description="How many groups they make; `limit` of them are told.")
    as_of: Timestamp | None = None
    lag: int | None = None


class Cure(StrEnum):
    """How a failure was cured: the surest that can be said.

    `attempt`: a later attempt at the same succeeded. `same_inputs`: the next success of the task had equal inputs.
    `later_success`: it had others, or they are not kept: the task works again, and what failed may not have been done.
    """

    ATTEMPT = "attempt"
    SAME_INPUTS = "same_inputs"
    LATER_SUCCESS = "later_success"


class CuredBy(Contract):
    """The run that cured a failure."""

    execution_id: str
    how: Cure
    completed_at: Timestamp | None = None


class InboxFailure(Contract):
    """A failure; without `curedBy`, nothing has cured it yet. `errorMessage` is the beginning of its message."""

    execution_id: str
    task_id: str
    task_version: str
    created_at: Timestamp
    completed_at: Timestamp
    fingerprint: str
    error_message: str | None = None
    attempt: int | None = None
    retried_by: str | None = None
    cured_by: CuredBy | None = None


class TaskExecutionFailureInbox(Contract):
    """Failures one by one, the last ones first, each with the run that cured it."""

    items: tuple[InboxFailure, ...]
    total: int = Field(description="All failures that fit the filters, exactly.")
    as_of: Timestamp | None = None
    lag: int | None = None


class TaskCommandRejection(Contract):
    """A refused command: when and why, and what of it could be read. `position`: its place in the rejections topic.

    `record` is the refused record with its bytes; a list has none, nor has what was stored by an older version.
    """

    position: Position
    rejected_at: Timestamp
    execution_id: str | None = None
    command_type: str | None = None
    command_source: str | None = None
    problem: Problem
    record: OriginalRecord | None = None


class TaskCommandRejectionPage(Contract):
    """A page of refused commands, newest first. `nextCursor` is there if more follow."""

    items: tuple[TaskCommandRejection, ...]
    total: int = Field(description="All refused commands that fit the filters, exactly.")
    page_size: int
    next_cursor: str | None = None
