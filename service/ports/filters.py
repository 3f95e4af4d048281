"""What a list of executions can be narrowed by."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from service.contracts.model import Contract, ExecutionId, Principal, Tag, TaskId, TaskVersion
from service.contracts.problems import Code
from service.contracts.status import Status
from service.ports.moments import Duration, Moment

ID_PREFIX: Final = "^[0-9a-f]{4,8}$|^[0-9a-f]{8}-[0-9a-f]{0,4}$|^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{0,4}$"
"""At least 4 digits, else too many begin so; at most the first half of an id, which is one number to ClickHouse."""

_FROM = "Only executions that were {} at this time or later: RFC 3339, or so long ago, such as 24h or 7d."
_TO = "Only executions that were {} before this time; in the same forms."


class CreationFilters(Contract, defer_build=True):
    """The filters by what an execution is from its creation on."""

    task_id: TaskId | None = Field(default=None, description="Only executions of this task.")
    task_version: TaskVersion | None = Field(default=None, description="Only executions of this version of a task.")
    created_by: Principal | None = Field(default=None, description="Only executions that this principal asked for.")
    tag: tuple[Tag, ...] = Field(
        default=(), max_length=20, description="Only executions that have this tag; given several times, all of them."
    )
    created_from: Moment | None = Field(default=None, description=_FROM.format("created"))
    created_to: Moment | None = Field(default=None, description=_TO.format("created"))
    id_prefix: Annotated[str, StringConstraints(pattern=ID_PREFIX)] | None = Field(
        default=None, description="Only executions whose id begins so: 4 to 16 digits, with the hyphens between."
    )


class EndFilters(CreationFilters):
    """These, and when they ended."""

    completed_from: Moment | None = Field(default=None, description=_FROM.format("completed"))
    completed_to: Moment | None = Field(default=None, description=_TO.format("completed"))


class Filters(EndFilters):
    """The one declaration of every filter; they combine.

    From a field follow the API's parameter, the command line's option and their descriptions. A read model has a
    condition for each. Those that can be given several times are tuples.
    """

    status: tuple[Status, ...] = Field(
        default=(), description="Only executions in this status; given several times, in any of them."
    )
    started_from: Moment | None = Field(default=None, description=_FROM.format("started"))
    started_to: Moment | None = Field(default=None, description=_TO.format("started"))
    min_duration: Duration | None = Field(
        default=None, description="Only executions that ran at least so long, from start to end: 90s, 5m, 2h."
    )
    text: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Only executions with this text in their id, or in their error message or skip reason, "
        "whatever the case.",
    )
    fingerprint: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None,
        description="Only executions that failed with this fingerprint of their error message, as failures have it.",
    )


class RejectionFilters(Contract, defer_build=True):
    """What a list of refused commands can be narrowed by; they combine."""

    code: Code | None = Field(default=None, description="Only commands that were refused with this code.")
    command_source: Principal | None = Field(
        default=None, description="Only commands with this CloudEvents source, where it could be read."
    )
    command_type: Principal | None = Field(
        default=None, description="Only commands of this CloudEvents type, where it could be read."
    )
    execution_id: ExecutionId | None = Field(default=None, description="Only commands that named this execution.")
    rejected_from: Moment | None = Field(
        default=None, description="Only commands that were refused at this time or later: RFC 3339, or 24h, 7d."
    )
    rejected_to: Moment | None = Field(default=None, description="Only commands that were refused before this time.")
