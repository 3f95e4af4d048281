"""Who may start an execution, when, and who may speak for it once a worker has claimed it."""

from service.contracts.commands import FailTaskExecution, HeartbeatTaskExecution, SucceedTaskExecution
from service.contracts.problems import Code, RejectedError, problem
from service.domain.execution import Execution

_NAMED = 5


def check_ready(state: Execution) -> None:
    """Check that nothing has to be waited for (spec, invariant 4).

    Raises:
        RejectedError: it cannot start yet; the problem says what it waits for.
    """
    terms = state.terms
    if terms.is_ready:
        return
    waits = [f"{one.node} ({one.execution_id}) to be SUCCESS" for one in terms.upstreams[:_NAMED]]
    if len(terms.upstreams) > _NAMED:
        waits.append(f"{len(terms.upstreams) - _NAMED} more")
    if terms.not_before is not None:
        waits.append(str(terms.not_before))
    detail = (
        f"Task execution {state.execution_id} cannot start yet: it waits for {', '.join(waits)}. "
        "TaskExecutionReady says when it can."
    )
    raise RejectedError(problem(Code.NOT_READY, detail, current_status=state.status))


def check_owner(state: Execution, command: HeartbeatTaskExecution | SucceedTaskExecution | FailTaskExecution) -> None:
    """Check that who sends it owns the execution, if the command says who does.

    Raises:
        RejectedError: somebody else does, or nobody.
    """
    if command.owner is None:
        return
    claim = state.terms.claim
    owner = claim.owner if claim is not None else None
    if command.owner == owner:
        return
    detail = (
        f"Task execution {state.execution_id} is owned by {owner or 'nobody'}, not by {command.owner}. "
        "End this run of it: what it has done does not count."
    )
    raise RejectedError(problem(Code.NOT_OWNER, detail, current_status=state.status))
