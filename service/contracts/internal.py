"""What the partitions of the write side tell each other, as commands that nobody else may send. Private.

One execution can depend on another, which another partition owns. So they speak by commands, each caused by a
transaction and carried out by one: they are carried out once, as all commands are.
"""

from typing import Annotated, Final, final

from pydantic import Field

from service.contracts.commands import Command
from service.contracts.model import Contract, ExecutionId, Name
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp


@final
class AwaitTaskExecution(Contract):
    """`downstream` waits for this execution to end, and has since `created_at`. `behind` wait for `downstream`."""

    execution_id: ExecutionId
    downstream: ExecutionId
    created_at: Timestamp
    condition: Name | None = None
    behind: tuple[ExecutionId, ...] = ()


@final
class ResolveDependency(Contract):
    """`upstream`, for which this execution waits, has ended so; of its condition, whether it is met.

    Where it failed and is tried again, `retried_by` is the next attempt, for which to wait now.
    """

    execution_id: ExecutionId
    upstream: ExecutionId
    status: Status
    is_met: bool = True
    retried_by: ExecutionId | None = None


@final
class FindCycle(Contract):
    """Does `origin` wait for itself? This execution is one of those that it waits for; `to_visit` are others."""

    execution_id: ExecutionId
    origin: ExecutionId
    to_visit: tuple[ExecutionId, ...] = ()
    visited: Annotated[tuple[ExecutionId, ...], Field(max_length=20_000)] = ()


InternalCommand = AwaitTaskExecution | ResolveDependency | FindCycle

AnyCommand = Command | InternalCommand

INTERNAL_TYPES: Final[dict[str, type[InternalCommand]]] = {
    model.__name__: model for model in (AwaitTaskExecution, ResolveDependency, FindCycle)
}
"""Each by its CloudEvents type."""
