"""An execution fails, and what becomes of that: if its policy says so, another attempt."""

from datetime import timedelta
from typing import Final

from service.contracts.codec import decode
from service.contracts.commands import ExecuteTask
from service.contracts.envelope import SOURCE
from service.contracts.events import Retry, TaskExecutionFailed
from service.contracts.problems import Code, FieldError, reject
from service.contracts.retries import RetryPolicy
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.domain.happening import happened, next_event
from service.domain.identity import command_id
from service.domain.terms import Attempt

_MAX_NAME: Final = 255


def failure(state: Execution, message: str, at: Timestamp, cause: tuple[str, str], kept: timedelta | None) -> Decision:
    """The execution fails; with attempts left, the next one is made."""
    attempt = state.terms.attempt
    common = next_event(state, Status.FAILURE, at, cause)
    if attempt is None or not attempt.has_next:
        return happened(state, TaskExecutionFailed(**common, error_message=message), kept)
    again = _again(state, attempt, common["occurred_at"])
    retried_by = command_id(SOURCE, attempt_id(state.execution_id, again))
    event = TaskExecutionFailed(**common, error_message=message, retried_by=retried_by)
    return happened(state, event, kept, commands=(again,))


def attempt_id(failed: str, command: ExecuteTask) -> str:
    """The CloudEvents id of the command that makes another attempt at what failed: it cannot be made twice."""
    return f"{failed}/attempt/{command.attempt}"


def policy_of(command: ExecuteTask, definition: Definition) -> Retry | None:
    """How an execution is tried again: as the command says, else as the definition does.

    Raises:
        RejectedError: the command wants it, and the definition has sensitive inputs: those are kept nowhere.
    """
    asked = command.retry
    if asked is not None and definition.sensitive is not None and definition.sensitive.inputs:
        detail = (
            f"{definition.name} has sensitive inputs, which are kept nowhere: send another ExecuteTask to try again."
        )
        raise reject(Code.INVALID_COMMAND, detail, (FieldError(pointer="#/retry", detail="not with sensitive inputs"),))
    policy = asked or definition.source.retry
    return (
        None if policy is None or policy.max_attempts == 1 else Retry(policy.max_attempts, policy.delay, policy.backoff)
    )


def _again(state: Execution, attempt: Attempt, at: Timestamp) -> ExecuteTask:
    policy = attempt.policy
    return ExecuteTask(
        task_id=state.task_id,
        task_version=state.task_version,
        inputs=decode(attempt.inputs),
        created_by=state.created_by[:_MAX_NAME],
        tags=state.tags,
        retry=RetryPolicy(max_attempts=policy.max_attempts, delay=policy.delay, backoff=policy.backoff),
        retry_of=attempt.first,
        attempt=attempt.number + 1,
        not_before=at + attempt.delay if attempt.delay else None,
    )
