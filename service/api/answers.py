"""What the API takes and answers beside commands, executions, queries and problems."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, StrictBool

from service.contracts.bounds import WHOLE, at_most
from service.contracts.commands import Message
from service.contracts.model import Contract, ExecutionId, Name, TaskVersion
from service.contracts.problems import Problem
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.queries.requests import CursorText

MAX_AT_ONCE: Final = 1_000


class UnansweredCommand(Contract):
    """A command that was sent, and has no reply yet: whether it is accepted is not known.

    Sent again with the same `Idempotency-Key`, it is answered, and not carried out twice.
    """

    execution_id: str
    idempotency_key: str
    detail: str


class RerunTaskExecution(Contract):
    """Run it again, as a new execution: with the same inputs, version and tags, unless others are given.

    With the same inputs and version, it is another attempt at the same (`retryOf`, `attempt`).
    """

    inputs: dict[str, Any] = Field(default_factory=dict, description="These replace single ones of the old.")
    task_version: TaskVersion | None = Field(default=None, description="Another version of the task.")
    created_by: Name | None = Field(default=None, description="Who asks; the CloudEvents source where absent.")


class Action(StrEnum):
    """What can be done to many."""

    STOP = "stop"
    SKIP = "skip"
    RERUN = "rerun"


class ActOnTaskExecutions(Contract):
    """Stop, skip or rerun many executions: first ask which they are, then send their ids.

    With `filter` and `dryRun`, nothing is done, and the answer has the ids of those that fit and allow the action. With
    `executionIds`, it is done: what you saw is what is acted on.
    """

    action: Action
    filter: dict[str, Any] | None = Field(
        default=None, description="The filters of lists, at least one of them; only beside `dryRun`."
    )
    dry_run: StrictBool = False
    cursor: CursorText | None = Field(default=None, description="The `nextCursor` of the answer before.")
    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_AT_ONCE), WHOLE] | None = Field(
        default=None, description=f"How many ids are told at most; {MAX_AT_ONCE} if not given."
    )
    execution_ids: Annotated[tuple[ExecutionId, ...], at_most(MAX_AT_ONCE)] | None = Field(
        default=None, min_length=1, max_length=MAX_AT_ONCE, description="Those to act on."
    )
    reason: Message | None = Field(
        default=None, description="Why: of a stop its reason; of a skip the node in `condition_false: <node>`."
    )
    requested_by: Name | None = Field(default=None, description="Who asks; the CloudEvents source where absent.")


class SelectedTaskExecutions(Contract):
    """Those that fit the filters and allow the action, newest first. Nothing was done."""

    matched: int = Field(description="All that fit, exactly; `executionIds` are the first of them, or the next.")
    execution_ids: tuple[str, ...]
    next_cursor: str | None = None
    as_of: Timestamp | None = None


class ActionOutcome(StrEnum):
    """How it went. `unanswered`: it may still happen; send the same request again."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"


class ActionResult(Contract):
    """What became of one execution: its `status` after the action, or the problem. A rerun has a new execution."""

    execution_id: str
    outcome: ActionOutcome
    status: Status | None = None
    problem: Problem | None = None
    new_execution_id: str | None = None


class ActionResults(Contract):
    """What became of each, in the order of the request, and how many there are of each outcome."""

    items: tuple[ActionResult, ...]
    accepted: int
    duplicates: int
    rejected: int
    unanswered: int
