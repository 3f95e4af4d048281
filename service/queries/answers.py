"""What queries answer. Every answer says how fresh it is.

`asOf`: everything published until then is in the answer, but for the newest `lag` offsets of the events topic. An old
`asOf` means that the projector does not run; both are absent if it never ran.
"""

from typing import Any

from pydantic import Field

from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.replies import Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp


class TaskExecutionAnswer(TaskExecution):
    """One execution, whole."""

    as_of: Timestamp | None = None
    lag: int | None = None


class TaskExecutionPage(Contract):
    """A page of whole executions, newest first. `nextCursor` is there if more follow; `pageNumber` unless by cursor."""

    items: tuple[TaskExecution, ...]
    total: int = Field(description="All executions that fit the filters, exactly.")
    page_number: int | None = None
    page_size: int
    next_cursor: str | None = None
    as_of: Timestamp | None = None
    lag: int | None = None


class RecordedEvent(Contract):
    """One event of an execution; `data` is its body as it was published, `position` its place in the events topic."""

    type: str
    time: Timestamp
    status: Status
    position: Position
    data: dict[str, Any]


class TaskExecutionHistory(Contract):
    """All events of one execution, in order."""

    execution_id: str
    items: tuple[RecordedEvent, ...]
    as_of: Timestamp | None = None
    lag: int | None = None


class TaskExecutionStats(Contract):
    """How many executions are in which status; the six add up to `total`. `taskId` is absent if it is of all tasks."""

    task_id: str | None = None
    total: int
    pending: int
    running: int
    success: int
    failure: int
    stopped: int
    skipped: int
    as_of: Timestamp | None = None
    lag: int | None = None
