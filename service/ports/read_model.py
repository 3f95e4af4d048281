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
    """An execution that fits the filters."""

    execution_id: str
    created_ms: int

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.created_ms, self.execution_id)


class Found(NamedTuple):
    """How many executions fit, exactly, and those of the page; as the store was before the page was read, or later."""

    total: int
    listed: Sequence[ListedExecution]


class StoredEvent(NamedTuple):
    """An event, as `EventRow` has it: `payload` is what is kept of its body, as JSON."""

    execution_id: str
    sequence: int
    type: str
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

    async def page(self, filters: Filters, limit: int, *, offset: int = 0, after: Place | None = None) -> Found:
        """The first `limit` executions that fit, newest first: after this place, and after so many (`offset`).

        Of those that have not ended, some may have gone on meanwhile: the events say what an execution is.
        """
        ...

    async def counts(self, filters: Filters) -> Counts:
        """The counts of the executions that fit what these filters say of their creation."""
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
