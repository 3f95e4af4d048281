"""What queries need of a store of executions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.filters import CreationFilters, EndFilters, Filters, RejectionFilters
from service.ports.positions import PartitionPosition


class Grouping(StrEnum):
    """What executions are counted by; `MINUTE`, `HOUR` and `DAY` are those of their creation, in UTC."""

    TASK_ID = "taskId"
    TASK_VERSION = "taskVersion"
    CREATED_BY = "createdBy"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def is_of_time(self) -> bool:
        """Whether a key is the beginning of such a time, RFC 3339."""
        return self in {Grouping.MINUTE, Grouping.HOUR, Grouping.DAY}


class GroupOrder(StrEnum):
    """What comes first of groups: the least key, or the group with most executions, or with most failures.

    By `failure`, only those are listed and counted that have any.
    """

    KEY = "key"
    TOTAL = "total"
    FAILURE = "failure"


class Order(StrEnum):
    """What comes first in a list: the newest, or the longest run.

    By duration, only those are listed and counted that ran and have ended: the others have none, or none yet.
    """

    CREATED = "created"
    DURATION = "duration"


TIMES_ERROR: Final = 0.01
"""How far a percentile may be from the exact one, relative to it, where it is not asked for exactly."""


class Percentiles(NamedTuple):
    """Of durations, in milliseconds: of `n` of them, that at place `floor(level * n)`, counted from 0."""

    p50: int
    p90: int
    p95: int
    p99: int


class Times(NamedTuple):
    """How long executions waited until they started, and how long they ran until they ended; None where none did."""

    queue: Percentiles | None
    run: Percentiles | None


Counts = Mapping[Status, int]
"""How many executions are in each status; all six are there."""


class Place(NamedTuple):
    """The place of an execution in the order of lists: newest first by (`created_ms`, `execution_id`).

    Where the longest comes first, by (`run_ms`, `created_ms`, `execution_id`).
    """

    created_ms: int
    execution_id: str
    run_ms: int | None = None


class ListedExecution(NamedTuple):
    """An execution that fits the filters."""

    execution_id: str
    created_ms: int
    run_ms: int | None = None

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.created_ms, self.execution_id, self.run_ms)


TASKS_OF_A_GROUP: Final = 5


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures whose messages have one fingerprint: `tasks` are those with most of them; `newest` failed last."""

    fingerprint: str
    count: int
    tasks: Sequence[str]
    task_count: int
    first_ms: int
    last_ms: int
    newest: ListedExecution


class Failures(NamedTuple):
    """How many failures fit, in how many groups, and the largest groups."""

    total: int
    groups: int
    largest: Sequence[FailureGroup]


class FailedExecution(NamedTuple):
    """A failure, and the fingerprint of its message."""

    execution_id: str
    created_ms: int
    task_id: str
    ended_ms: int
    fingerprint: str

    @property
    def listed(self) -> ListedExecution:
        """What it is read by."""
        return ListedExecution(self.execution_id, self.created_ms)


class StoredPayload(NamedTuple):
    """What is kept of an event's body, as JSON: `contracts/kept_bodies.py` says what."""

    execution_id: str
    sequence: int
    payload: str


class StoredBody(NamedTuple):
    """The same, with when its execution was created, in epoch milliseconds: all that the record is made of."""

    execution_id: str
    sequence: int
    payload: str
    created_ms: int


class StoredEvent(NamedTuple):
    """An event with its place in the topic; `created_ms` is of its execution, in epoch milliseconds."""

    execution_id: str
    sequence: int
    payload: str
    created_ms: int
    type: str
    partition: int
    offset: int


class StoredNode(NamedTuple):
    """An execution among others; `depends_on` is that of its first event, as JSON, and `retried_by` an id, or empty."""

    execution_id: str
    task_id: str
    status: str
    depends_on: str
    retried_by: str


class RejectionPlace(NamedTuple):
    """The place of a refused command in the order of lists, newest first: its time, and its place in the topic."""

    rejected_ms: int
    partition: int
    offset: int


class StoredRejection(NamedTuple):
    """A refused command; `problem` and `record` are JSON, the latter only where it was asked for and kept."""

    rejected_ms: int
    partition: int
    offset: int
    code: str
    detail: str
    execution_id: str | None
    command_type: str
    command_source: str
    problem: str
    record: str

    @property
    def place(self) -> RejectionPlace:
        """Where it stands in the list."""
        return RejectionPlace(self.rejected_ms, self.partition, self.offset)


class ReadModel(Protocol):
    """Answers about executions; however often an event was written, it counts once.

    All methods may be called concurrently.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def payloads(self, execution_ids: Sequence[str]) -> Sequence[StoredPayload]:
        """Of all events of these executions, those of one in order and side by side; of an unknown one, none."""
        ...

    def payloads_kept_since(self) -> Timestamp | None:
        """Executions that ended before this moment must be shown without inputs and outputs; None: none must."""
        ...

    async def bodies(self, execution_id: str) -> Sequence[StoredBody]:
        """What `events` has of it, and less to read."""
        ...

    async def events(self, execution_id: str) -> Sequence[StoredEvent]:
        """All events of this execution, in order; of an unknown one, none."""
        ...

    async def nodes(self, execution_ids: Sequence[str]) -> Sequence[StoredNode]:
        """What these executions are, and what each waits for; of an unknown one, nothing."""
        ...

    async def waiting(self, execution_ids: Sequence[str], limit: int) -> Sequence[str]:
        """The ids of the first `limit` executions that wait for any of these; some may not be kept any more."""
        ...

    async def total(
        self, filters: Filters, order: Order = Order.CREATED, *, counting: bool = False
    ) -> tuple[int, Counts | None]:
        """How many executions fit, exactly, and are listed in this order.

        And, for `counting`, the counts of all that fit but for their status: the total is their sum over the wanted.
        """
        ...

    async def page(  # noqa: PLR0913 - a page has these
        self,
        filters: Filters,
        limit: int,
        order: Order = Order.CREATED,
        *,
        offset: int = 0,
        after: Place | None = None,
        total: int | None = None,
    ) -> Sequence[ListedExecution]:
        """The first `limit` executions that fit, in this order: after this place, and after so many (`offset`).

        Of those that have not ended, some may have gone on meanwhile: the events say what an execution is. With the
        `total`, a page is looked for from the nearer end.
        """
        ...

    async def first_tasks(
        self, filters: CreationFilters, order: GroupOrder, limit: int, text: str = ""
    ) -> tuple[int, Sequence[str]]:
        """How many tasks have executions that fit, and the ids of those with most of them; or of failures likewise.

        `text`: only tasks with this in their id, whatever the case.
        """
        ...

    async def counts(
        self, filters: CreationFilters, by: Grouping | None = None, *, tasks: Sequence[str] | None = None
    ) -> Mapping[str, Counts]:
        """The counts of the executions that fit, of each group in the order of their keys; only of these `tasks`.

        A key is an id, version or principal; or the beginning of a minute, hour or day, RFC 3339. Without groups, all
        that fit are counted together, under an empty key.
        """
        ...

    async def times(
        self,
        filters: CreationFilters,
        by: Grouping | None = None,
        *,
        exact: bool = False,
        tasks: Sequence[str] | None = None,
    ) -> Mapping[str, Times]:
        """How long the executions that fit took, by the same keys, and all of them, under an empty key.

        `tasks`: only of these. Of a group where none has started: nothing.
        Unless it must be `exact`, each is within `TIMES_ERROR` and a millisecond.
        """
        ...

    async def failures(self, filters: EndFilters, limit: int) -> Failures:
        """The failures that fit, by the fingerprint of their message; the largest groups first, then the newest."""
        ...

    async def failed(self, filters: EndFilters, limit: int) -> tuple[int, Sequence[FailedExecution]]:
        """How many failures fit, and those that ended last."""
        ...

    async def later_successes(self, failed: Sequence[FailedExecution]) -> Mapping[str, ListedExecution]:
        """By the id of a failure, the first execution of its task created at its end or later that is a SUCCESS."""
        ...

    async def rejections_total(self) -> int:
        """How many refused commands there are."""
        ...

    async def rejections(
        self, filters: RejectionFilters, limit: int, after: RejectionPlace | None = None
    ) -> tuple[int, Sequence[StoredRejection]]:
        """How many refused commands fit, and the first `limit` after this place, newest first, without the record."""
        ...

    async def rejection(self, partition: int, offset: int) -> StoredRejection | None:
        """The refused command at this place of the rejections topic, with its record."""
        ...

    async def positions(self) -> Sequence[PartitionPosition]:
        """How far the projection has come, of every partition that was ever written."""
        ...

    async def ping(self) -> None:
        """Return if it answers."""
        ...
