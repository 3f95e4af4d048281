"""The task definitions, as the service that owns them has published them and the handlers use them."""

from enum import StrEnum
from typing import Annotated, Final, Protocol

from pydantic import Field, StringConstraints

from service.contracts.commands import ExecuteTask
from service.contracts.definitions import TaskDefinition, TaskType
from service.contracts.executions import TaskExecution
from service.contracts.model import Contract, TaskId, TaskVersion
from service.contracts.timestamps import Timestamp

MAX_PAGE_SIZE: Final = 1_000
MAX_PAGE_NUMBER: Final = 1_000_000_000


class DefinitionState(StrEnum):
    """The status of a version; `UNUSABLE`: nothing can be executed by it, whatever its status."""

    PUBLISHED = "PUBLISHED"
    DRAFT = "DRAFT"
    UNUSABLE = "UNUSABLE"


Changed = Annotated[
    bool,
    Field(description="Its record is another one now than what was published first, which is what counts and is told."),
]


class ListTaskDefinitions(Contract):
    """A page of versions of tasks; filters combine."""

    task_id: TaskId | None = Field(default=None, description="Only versions of this task.")
    namespace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,120}$")] | None = Field(
        default=None, description="Only of tasks whose id begins so."
    )
    status: DefinitionState | None = Field(default=None, description="Only with this status.")
    page_number: int = Field(default=1, gt=0, le=MAX_PAGE_NUMBER, description="Counted from 1.")
    page_size: int = Field(default=100, gt=0, le=MAX_PAGE_SIZE, description="How many versions are on a page.")


class ListedTaskDefinition(Contract):
    """A version of a task. Of one that cannot be used, `flaw` says why."""

    task_id: str
    version: str
    status: DefinitionState
    changed: Changed
    type: TaskType | None = None
    inputs: int | None = Field(default=None, description="How many inputs it has.")
    outputs: int | None = Field(default=None, description="How many outputs it has.")
    flaw: str | None = None


class TaskDefinitionPage(Contract):
    """A page of versions of tasks, by task; the newest version first, `draft` last."""

    items: tuple[ListedTaskDefinition, ...]
    total: int = Field(description="All versions that fit the filters.")
    page_number: int
    page_size: int


class TaskDefinitionAnswer(Contract):
    """A version of a task as it is executed. Of one that cannot be used, `flaw` says why instead of a `definition`."""

    task_id: TaskId
    version: TaskVersion
    status: DefinitionState
    changed: Changed
    definition: TaskDefinition | None = None
    flaw: str | None = None


class Definitions(Protocol):
    """Tells what Kafka has of definitions, as of the moment of the question.

    Raises:
        RejectedError: UNAVAILABLE, Kafka did not tell them in time.
    """

    async def list(self, request: ListTaskDefinitions) -> TaskDefinitionPage:
        """The versions that fit."""
        ...

    async def get(self, task_id: str, version: str) -> TaskDefinitionAnswer:
        """One version. RejectedError: NOT_FOUND, there is none."""
        ...

    async def rehearse(self, command: ExecuteTask, execution_id: str, source: str, at: Timestamp) -> TaskExecution:
        """What this command would make, if none with its id came before. RejectedError: why it would be refused."""
        ...
