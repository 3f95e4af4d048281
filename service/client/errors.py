"""What a call of the client can raise, by the action it asks for. Each has the `problem` that the service told.

Beside them, a command can be left unanswered (`CommandUnansweredError`): nobody knows whether it was carried out.
"""

from http import HTTPStatus
from typing import Final

from service.contracts.executions import TaskExecution
from service.contracts.problems import Problem, RejectedError


class InvalidRequestError(RejectedError):
    """What was asked for is not valid: `problem.errors` says where. The action: correct it."""


class NotFoundError(RejectedError):
    """There is nothing by this id. The action: check the id; what was made just now may not be shown yet."""


class ConflictError(RejectedError):
    """The execution does not allow this now (`problem.current_status`, `problem.allowed_commands`), or the idempotency
    key belongs to another command. The action: look at the execution, and decide anew.
    """  # noqa: D205 - it is one sentence


class ServiceUnavailableError(RejectedError):
    """The service did not answer, or failed. The action: try again later; if it lasts, tell its operators."""


class NotFinishedError(Exception):
    """The execution has not ended in time; it goes on. The action: `watch` or `get` it by the id in `execution`."""

    def __init__(self, execution: TaskExecution, timeout: float) -> None:
        super().__init__(
            f"Execution {execution.id} has not ended within {timeout:g} s. It goes on: watch it by its id."
        )
        self.execution = execution


_FAMILIES: Final[dict[int, type[RejectedError]]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
}


def refusal(problem: Problem) -> RejectedError:
    """The error to raise for this problem."""
    server = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _FAMILIES.get(problem.status, ServiceUnavailableError if server else InvalidRequestError)(problem)
