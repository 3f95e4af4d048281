"""The commands, imperative: what a client may ask. Their CloudEvents type is the class name.

Where every command passes, `type(command) is ...` tells which it is: isinstance() asks pydantic's metaclass, in Python.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, cast, final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from service.contracts.model import Contract, ExecutionId, Name, Tag, TaskId, TaskVersion

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


def _few(tags: list[object] | object) -> list[object] | object:
    """Refuse too many before each is looked at: errors of half a million tags take seconds to write."""
    if isinstance(tags, list) and len(cast("list[object]", tags)) > MAX_TAGS:
        raise ValueError(f"must have at most {MAX_TAGS} items")
    return tags  # pyright: ignore[reportUnknownVariableType] - narrowed to a list of unknown items


@final
class ExecuteTask(Contract):
    """Run one version of a task: makes a new TaskExecution in `PENDING`."""

    task_id: TaskId
    task_version: TaskVersion
    inputs: dict[str, Any]
    created_by: Name | None = Field(default=None, description="Who asks; the CloudEvents source where absent.")
    tags: Annotated[tuple[Tag, ...], BeforeValidator(_few)] = Field(default=(), max_length=MAX_TAGS)


@final
class StartTaskExecution(Contract):
    """The execution began to run: `PENDING` to `RUNNING`."""

    execution_id: ExecutionId
    spark_application_id: Name | None = Field(
        default=None, description="Only where the definition is a pyspark_operator."
    )


@final
class SucceedTaskExecution(Contract):
    """The execution ended well: `RUNNING` to `SUCCESS`. `outputs` are checked against the definition."""

    execution_id: ExecutionId
    outputs: dict[str, Any]


@final
class FailTaskExecution(Contract):
    """The execution ended badly: `RUNNING` to `FAILURE`."""

    execution_id: ExecutionId
    error_message: Message = Field(description=f"Beyond {MAX_MESSAGE} characters it is cut, and says so.")


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


LifecycleCommand = StartTaskExecution | SucceedTaskExecution | FailTaskExecution | StopTaskExecution | SkipTaskExecution
Command = ExecuteTask | LifecycleCommand

COMMAND_TYPES: Final[dict[str, type[Command]]] = {
    model.__name__: model
    for model in (
        ExecuteTask, StartTaskExecution, SucceedTaskExecution, FailTaskExecution, StopTaskExecution, SkipTaskExecution,
    )
}  # fmt: skip
"""Every command by its CloudEvents type."""
