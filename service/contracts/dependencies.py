"""What an execution waits for: other executions, each with the name that its node has in skip reasons."""

from typing import Annotated, Final, final

from pydantic import AfterValidator, Field

from service.contracts.bounds import at_most
from service.contracts.model import Contract, ExecutionId, Name

MAX_DEPENDENCIES: Final = 1_000


@final
class Dependency(Contract):
    """An execution that must be `SUCCESS` before the one that names it can start (spec, invariant 4).

    The two may be created in any order.
    """

    execution_id: ExecutionId
    node: Name = Field(description="What it is called in skip reasons, as in `upstream_failed: collect_data`.")
    condition: Name | None = Field(
        default=None,
        description="A boolean output of it. If that is not true, the reason is `condition_false: <node>`.",
    )


def _distinct(dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    if len({one.execution_id for one in dependencies}) < len(dependencies):
        raise ValueError("must name each execution once")
    return dependencies


Dependencies = Annotated[
    tuple[Dependency, ...],
    Field(max_length=MAX_DEPENDENCIES),
    at_most(MAX_DEPENDENCIES),
    AfterValidator(_distinct),
]
