"""What a list of executions can be narrowed by."""

from pydantic import Field

from service.contracts.model import Contract, Principal, Tag, TaskId
from service.contracts.status import Status


class Filters(Contract):
    """The one declaration of every filter; they combine.

    From a field follow the API's parameter, the command line's option and their descriptions. A read model has one
    condition for each.
    """

    task_id: TaskId | None = Field(default=None, description="Only executions of this task.")
    status: Status | None = Field(default=None, description="Only executions in this status.")
    created_by: Principal | None = Field(default=None, description="Only executions that this principal asked for.")
    tag: Tag | None = Field(default=None, description="Only executions that have this tag.")
