"""What a query may ask, and the one check of it, whoever asks."""

from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from service.contracts.model import Contract, ExecutionId
from service.contracts.problems import Code, field_errors, reject
from service.contracts.replies import Position
from service.ports.filters import CreationFilters, EndFilters, Filters, RejectionFilters
from service.ports.read_model import Grouping, GroupOrder, Order, Place

MAX_PAGE_SIZE: Final = 1_000
MAX_PAGE_NUMBER: Final = 1_000_000_000

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


CursorText = Annotated[str, StringConstraints(pattern=f"^([0-9]{{1,13}}:){{1,2}}{_UUID}$")]
"""What `write_cursor` writes, with times that ClickHouse can hold."""

NewestFirstCursor = Annotated[str, StringConstraints(pattern=f"^[0-9]{{1,13}}:{_UUID}$")]
"""The same of a list with the newest first."""

RejectionCursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,13}:[0-9]{1,5}:[0-9]{1,18}$")]
"""What the page of refused commands before gave."""

POSITION_PATTERN: Final = r"^[0-9]{1,5}:[0-9]{1,18}$"
MinPosition = Annotated[str, StringConstraints(pattern=POSITION_PATTERN)]
"""`partition:offset`, as `str(Position)` writes it."""


class Fresh(Contract, defer_build=True):
    """What every query takes."""

    min_position: MinPosition | None = Field(
        default=None,
        description="Read what you wrote: the position (`partition:offset`) of a command's answer. "
        "Waits until the answer includes it.",
    )


class GetTaskExecution(Fresh):
    """One execution, or its history."""

    execution_id: ExecutionId


class ListTaskExecutions(Filters, Fresh):
    """A page of executions; filters combine. Either `pageNumber`, or `cursor` for pages that don't shift."""

    sort: Order = Field(
        default=Order.CREATED,
        description="What comes first: the newest (`created`), or the longest run (`duration`). By `duration`, only "
        "those are listed and counted that ran and have ended: the others have none, or none yet.",
    )
    page_number: int = Field(default=1, gt=0, le=MAX_PAGE_NUMBER, description="Counted from 1; not beside `cursor`.")
    page_size: int = Field(default=20, gt=0, le=MAX_PAGE_SIZE, description="How many executions are on a page.")
    cursor: CursorText | None = Field(
        default=None,
        description="The `nextCursor` of the page before: goes on from there, equally fast however deep.",
    )
    counts: bool = Field(
        default=False, description="With how many fit in each status, whichever `status` is wanted: the others' too."
    )


class ListTaskCommandRejections(RejectionFilters):
    """A page of refused commands; filters combine."""

    page_size: int = Field(default=20, gt=0, le=MAX_PAGE_SIZE, description="How many are on a page.")
    cursor: RejectionCursor | None = Field(default=None, description="The `nextCursor` of the page before.")


class GetTaskExecutionFailures(EndFilters, Fresh):
    """Failures, grouped by the fingerprint of their error message; filters combine."""

    limit: int = Field(default=20, gt=0, le=MAX_PAGE_SIZE, description="How many groups, the largest ones.")


class GetTaskExecutionFailureInbox(EndFilters, Fresh):
    """Failures one by one, with what cured each; filters combine."""

    limit: int = Field(default=50, gt=0, le=100, description="How many, those that ended last.")


class GetTaskCommandRejection(Contract):
    """One refused command."""

    position: MinPosition


class GetTaskExecutionStats(CreationFilters, Fresh):
    """Counts by status, of all executions or of those that fit; filters combine."""

    group_by: Grouping | None = Field(default=None, description="Count each of these, too: a trend by hour, say.")
    sort: GroupOrder = Field(
        default=GroupOrder.KEY,
        description="What comes first of the groups: the least key, or the group with most executions (`total`) or "
        "with most failures (`failure`). By `failure`, only those are listed and counted that have any.",
    )
    limit: int = Field(
        default=MAX_PAGE_SIZE,
        gt=0,
        le=MAX_PAGE_SIZE,
        description="How many groups: those with most executions, or with most failures.",
    )
    group_text: str | None = Field(
        default=None, max_length=200, description="Only groups with this in their key, whatever the case."
    )
    times: bool = Field(
        default=False, description="With the percentiles of queue and run times, each within 1 % and a millisecond."
    )
    exact: bool = Field(default=False, description="With exact percentiles: each execution that fits is looked at.")


Query = TypeVar("Query", bound=Contract)


def write_cursor(place: Place) -> str:
    """The place as the text that clients hand back; they need not understand it."""
    return ":".join(str(part) for part in (place.run_ms, place.created_ms, place.execution_id) if part is not None)


def read_cursor(text: str) -> Place:
    """Read what `write_cursor` wrote."""
    *run_ms, created_ms, execution_id = text.split(":")
    return Place(int(created_ms), execution_id, *map(int, run_ms))


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
