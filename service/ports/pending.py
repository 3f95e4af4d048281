"""What a matcher must find out about executions that have not started, beside what events tell it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from service.ports.positions import PartitionPosition
from service.ports.read_model import Place


class PendingExecution(NamedTuple):
    """One that is PENDING. `waits`: for other executions or for a moment; it cannot start yet."""

    execution_id: str
    task_id: str
    task_version: str
    created_ms: int
    waits: bool

    @property
    def place(self) -> Place:
        """Where it stands, oldest first."""
        return Place(self.created_ms, self.execution_id)


class PendingExecutions(Protocol):
    """Those of a read model, as far as `positions` say.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def pending(
        self, task_ids: Sequence[str], limit: int, after: Place | None = None
    ) -> Sequence[PendingExecution]:
        """The `limit` oldest of each of these tasks, those after this place only, oldest first."""
        ...

    async def positions(self) -> Sequence[PartitionPosition]:
        """How far it has come, of every partition that was ever written."""
        ...
