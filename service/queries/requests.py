"""What a query may ask, and the one check of it, whoever asks."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from service.contracts.model import Contract, ExecutionId, Principal, Tag, TaskId
from service.contracts.problems import Code, field_errors, reject
from service.contracts.replies import Position
from service.contracts.status import Status

MAX_PAGE_SIZE: Final = 1_000
MAX_PAGE_NUMBER: Final = 1_000_000_000

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after an execution in the order of the list."""

    created_ms: int
    execution_id: str

    def __str__(self) -> str:
        """The text that clients hand back; they need not understand it."""
        return f"{self.created_ms}:{self.execution_id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read what `str` wrote."""
        created_ms, _, execution_id = text.partition(":")
        return cls(int(created_ms), execution_id)


CursorText = Annotated[str, StringConstraints(pattern=f"^[0-9]{{1,13}}:{_UUID}$")]
"""`str(Cursor)`, with a time that ClickHouse can hold."""

MinPosition = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}:[0-9]{1,18}$")]
"""`partition:offset`, as `str(Position)` writes it."""


class _Query(Contract):
    min_position: MinPosition | None = Field(
        default=None,
        description="`partition:offset` from a command's reply: wait until the answer includes that event.",
    )


class GetTaskExecution(_Query):
    """One execution, or its history."""

    execution_id: ExecutionId


class ListTaskExecutions(_Query):
    """A page of executions; filters combine. Either `pageNumber`, or `cursor` for pages that don't shift."""

    task_id: TaskId | None = None
    status: Status | None = None
    created_by: Principal | None = None
    tag: Tag | None = None
    page_number: int = Field(default=1, gt=0, le=MAX_PAGE_NUMBER)
    page_size: int = Field(default=20, gt=0, le=MAX_PAGE_SIZE)
    cursor: CursorText | None = Field(default=None, description="The nextCursor of the page before.")


class GetTaskExecutionStats(_Query):
    """Counts by status, of one task or of all."""

    task_id: TaskId | None = None


Query = TypeVar("Query", bound=_Query)


def check(model: type[Query], **given: Any) -> Query:  # noqa: ANN401 - what comes from outside may be anything
    """The request, if it is valid; what is None counts as not given.

    Raises:
        RejectedError: INVALID_REQUEST, with everything that is wrong.
    """
    present = {to_camel(name): _text(value) for name, value in given.items() if value is not None}
    try:
        return model.model_validate(present)
    except ValidationError as error:
        errors = field_errors(error, model.wire_names())
        raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", errors) from None


def _text(value: object) -> object:
    return str(value) if isinstance(value, Position) else value
