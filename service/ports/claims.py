"""How workers get work: they ask for some, and are given an execution that they have claimed."""

from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple, Protocol

from pydantic import Field

from service.contracts.bounds import at_most
from service.contracts.durations import Lease
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract, ExecutionId, Name, TaskId
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.version_ranges import VersionRange

MAX_TASKS: Final = 1_000
MAX_AWAITED: Final = 1_000
MAX_WAIT: Final = 60.0

Wait = Annotated[float, Field(ge=0, le=MAX_WAIT, allow_inf_nan=False, strict=True)]


class WantedTask(Contract):
    """A task that the worker can run; without a `version`, in every version."""

    task_id: TaskId
    version: VersionRange | None = Field(default=None, description="A range as npm has them: >=1.2, ^1.2, 1.x.")


class ClaimTaskExecution(Contract):
    """The oldest execution that can start now, of any of these tasks, is started for this owner.

    One request of an owner waits at a time: the next one ends it. So with no `tasks`, it is withdrawn.
    """

    owner: Name = Field(description="Who will run it: one name per process.")
    lease: Lease = Field(
        description="How long the owner may be silent. Then the execution ends as FAILURE, as its worker is lost."
    )
    tasks: Annotated[tuple[WantedTask, ...], at_most(MAX_TASKS)] = Field(max_length=MAX_TASKS)
    wait: Wait = Field(default=0, description="How many seconds to wait until there is one.")


class AwaitTaskExecutions(Contract):
    """Tells which of these executions have ended, as soon as one of them has."""

    execution_ids: Annotated[tuple[ExecutionId, ...], at_most(MAX_AWAITED)] = Field(max_length=MAX_AWAITED)
    wait: Wait = Field(default=0, description="How many seconds to wait until one has.")


class EndedTaskExecution(Contract):
    """An execution that has ended."""

    id: str
    status: Status


class EndedTaskExecutions(Contract):
    """Those that have ended; none, if none did in time.

    One that ended while nobody awaited it is told of for a while only: whoever must know asks for it.
    """

    items: tuple[EndedTaskExecution, ...]


class Claimed(NamedTuple):
    """An execution that the asker has to run now, whole, and the place of the event that says so."""

    execution: TaskExecution
    position: Position | None


class Claims(Protocol):
    """Gives executions to workers. Whoever implements it owns what it takes to know which there are."""

    async def claim(
        self, wanted: ClaimTaskExecution, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> Claimed | None:
        """An execution that now is RUNNING for this owner alone; None if there was none in time.

        `source` is the CloudEvents source of the command that starts it. If the call is cancelled while that is under
        way, the execution may be claimed all the same, and then ends with its lease.

        Raises:
            CommandUnansweredError: no reply came to that command.
            RejectedError: what is needed does not answer now.
        """
        ...

    async def ended(self, awaited: AwaitTaskExecutions) -> EndedTaskExecutions:
        """Which of these have ended, once one has, or the time is over."""
        ...
