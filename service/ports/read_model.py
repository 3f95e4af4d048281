"""What queries need of a store of executions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from service.contracts.status import Status
from service.ports.filters import Filters
from service.ports.positions import PartitionPosition

Counts = Mapping[Status, int]
"""How many executions are in each status; all six are there."""


class Place(NamedTuple):
    """The place of an execution in the order of lists: newest first by (`created_ms`, `execution_id`)."""

    created_ms: int
    execution_id: str


class ListedExecution(NamedTuple):
    """An execution that fits the filters; `sequence` is that of its newest event when it was found."""

    execution_id: str
    sequence: int
    created_ms: int

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.created_ms, self.execution_id)


class StoredEvent(NamedTuple):
    """An event; `time` in epoch milliseconds, `payload` its body as it was published."""

    execution_id: str
    sequence: int
    type: str
    status: str
    time: int
    payload: str
    partition: int
    offset: int


class ReadModel(Protocol):
    """Answers about executions; however often an event was written, it counts once.

    All methods may be called concurrently.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def events(self, execution_ids: Sequence[str]) -> Sequence[StoredEvent]:
        """All events of these executions, those of one in order and side by side; of an unknown one, none."""
        ...

    async def page(
        self, filters: Filters, limit: int, *, offset: int = 0, after: Place | None = None
    ) -> Sequence[ListedExecution]:
        """The first `limit` executions that fit, newest first: after this place, and after so many (`offset`)."""
        ...

    async def total(self, filters: Filters) -> int:
        """How many executions fit, exactly."""
        ...

    async def counts(self, task_id: str | None) -> Counts:
        """The counts of one task, or of all."""
        ...

    async def counts_by_task(self) -> Mapping[str, Counts]:
        """The counts of every task that was ever executed, in the order of their ids."""
        ...

    async def rejections_total(self) -> int:
        """How many commands were ever refused."""
        ...

    async def positions(self) -> Sequence[PartitionPosition]:
        """How far the projection has come, of every partition that was ever written."""
        ...

    async def ping(self) -> None:
        """Return if it answers."""
        ...
