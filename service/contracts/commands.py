"""The commands, imperative: what a client may ask. Their CloudEvents type is the class name.

Where every command passes, `type(command) is ...` tells which it is: isinstance() asks pydantic's metaclass, in Python.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from service.contracts.bounds import WHOLE, at_most
from service.contracts.dependencies import Dependencies
from service.contracts.durations import Lease
from service.contracts.model import Contract, ExecutionId, Name, Tag, TaskId, TaskVersion
from service.contracts.retries import RetryPolicy
from service.contracts.timestamps import Timestamp

MAX_TAGS: Final = 64
MAX_MESSAGE: Final = 65_536

NO_NUL: Final = "^[^\\u0000]*$"
"""What schemas say of texts: no strict JSON holds NUL."""


def _cut(text: str) -> str:
    if len(text) <= MAX_MESSAGE:
        return text
    note = f"… [cut: {len(text)} characters came, {MAX_MESSAGE} are kept]"
    return text[: MAX_MESSAGE - len(note)] + note


Message = Annotated[
    str, StringConstraints(min_length=1), AfterValidator(_cut), Field(json_schema_extra={"pattern": NO_NUL})
]
"""A text for people. One that is too long is cut, and says so: no run stays open because its error was long."""


@final
class ExecuteTask(Contract):
    """Run one version of a task: makes a new TaskExecution in `PENDING`.

    It can start when all it depends on are `SUCCESS` and `notBefore` has come.
    """

    task_id: TaskId
    task_version: TaskVersion
    inputs: dict[str, Any]
    created_by: Name | None = Field(default=None, description="Who asks; the CloudEvents source where absent.")
    tags: Annotated[tuple[Tag, ...], at_most(MAX_TAGS)] = Field(default=(), max_length=MAX_TAGS)
    depends_on: Dependencies | None = None
    not_before: Timestamp | None = Field(default=None, description="It cannot start earlier.")
    retry: RetryPolicy | None = Field(default=None, description="Instead of the definition's, if that has one.")
    retry_of: ExecutionId | None = Field(default=None, description="The first attempt at the same.")
    attempt: Annotated[int, Field(strict=True, ge=1, le=1_000_000), WHOLE] | None = Field(
        default=None, description="Which attempt it is: 2, 3, and so on; the first one need not say so."
    )


@final
class StartTaskExecution(Contract):
    """The execution began to run: `PENDING` to `RUNNING`. With an owner it is a claim: only one is accepted."""

    execution_id: ExecutionId
    owner: Name | None = Field(default=None, description="Who runs it: one name per process.")
    lease: Lease | None = Field(
        default=None,
        description="How long the owner may be silent. Then the execution ends as FAILURE, as its worker is lost.",
    )
    spark_application_id: Name | None = Field(
        default=None, description="Only where the definition is a pyspark_operator."
    )

    @model_validator(mode="after")
    def _owned(self) -> "StartTaskExecution":
        if self.lease is not None and self.owner is None:
            raise ValueError("a lease needs an owner")
        return self


@final
class HeartbeatTaskExecution(Contract):
    """The owner lives: its lease begins anew. It is an event only where it tells of something new."""

    execution_id: ExecutionId
    owner: Name
    progress: Annotated[float, Field(strict=True, ge=0, le=1)] | None = Field(
        default=None, description="How much is done, from 0 to 1."
    )
    message: Name | None = Field(default=None, description="What it is doing.")
    spark_application_id: Name | None = Field(
        default=None, description="As StartTaskExecution's, where it is known only once the application runs."
    )


@final
class SucceedTaskExecution(Contract):
    """The execution ended well: `RUNNING` to `SUCCESS`. `outputs` are checked against the definition."""

    execution_id: ExecutionId
    outputs: dict[str, Any]
    owner: Name | None = Field(default=None, description="Who says so: if given, nobody but its owner is believed.")


@final
class FailTaskExecution(Contract):
    """The execution ended badly: `RUNNING` to `FAILURE`."""

    execution_id: ExecutionId
    error_message: Message = Field(description=f"Beyond {MAX_MESSAGE} characters it is cut, and says so.")
    owner: Name | None = Field(default=None, description="Who says so: if given, nobody but its owner is believed.")


@final
class StopTaskExecution(Contract):
    """Somebody ends the execution early: `PENDING` or `RUNNING` to `STOPPED`."""

    execution_id: ExecutionId
    reason: Message | None = Field(default=None, description="Cut as errorMessage is.")
    requested_by: Name | None = Field(default=None, description="Who asks; the CloudEvents source where absent.")


class SkipCause(StrEnum):
    """Why an execution is skipped."""

    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_STOPPED = "upstream_stopped"
    UPSTREAM_SKIPPED = "upstream_skipped"
    CONDITION_FALSE = "condition_false"


@final
class SkipTaskExecution(Contract):
    """The execution will never run: `PENDING` to `SKIPPED`. `skipReason` becomes `<reason>: <node>`."""

    execution_id: ExecutionId
    reason: SkipCause
    node: Name = Field(description="The upstream or condition node that is the cause.")

    @property
    def skip_reason(self) -> str:
        """What the event and the record say."""
        return f"{self.reason}: {self.node}"


LifecycleCommand = (
    StartTaskExecution
    | HeartbeatTaskExecution
    | SucceedTaskExecution
    | FailTaskExecution
    | StopTaskExecution
    | SkipTaskExecution
)
Command = ExecuteTask | LifecycleCommand

COMMAND_TYPES: Final[dict[str, type[Command]]] = {
    model.__name__: model
    for model in (
        ExecuteTask, StartTaskExecution, HeartbeatTaskExecution, SucceedTaskExecution, FailTaskExecution,
        StopTaskExecution, SkipTaskExecution,
    )
}  # fmt: skip
"""Every command by its CloudEvents type."""
