"""Failures one by one, each with the run that cured it, if one did."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.contracts.timestamps import from_epoch_ms
from service.domain.equality import canonical
from service.ports.filters import EndFilters
from service.ports.read_model import FailedExecution, ListedExecution, ReadModel
from service.queries.answers import Cure, CuredBy, InboxFailure, TaskExecutionFailureInbox
from service.queries.freshness import Freshness
from service.queries.payloads import whole
from service.queries.requests import GetTaskExecutionFailureInbox

_ATTEMPTS: Final = 10
"""So many attempts of the service's own are followed: the later ones count as open."""

_SHOWN: Final = 1_000
"""Characters of an error message."""

Executions = Mapping[str, TaskExecution]


async def failure_inbox(
    read_model: ReadModel, request: GetTaskExecutionFailureInbox, fresh: Freshness
) -> TaskExecutionFailureInbox:
    """What `GetTaskExecutionFailureInbox` asks for. One whose retention has ended meanwhile is left out.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    filters = EndFilters(**{name: getattr(request, name) for name in EndFilters.model_fields})
    total, failed = await read_model.failed(filters, request.limit)
    later = await read_model.later_successes(failed) if failed else {}
    found = await _by_id(read_model, [*(one.listed for one in failed), *later.values()])
    found |= await _attempts(read_model, found)
    items = [_told(one, found, later.get(one.execution_id)) for one in failed if one.execution_id in found]
    return TaskExecutionFailureInbox(items=tuple(items), total=total, **asdict(fresh))


async def _attempts(read_model: ReadModel, known: Executions) -> dict[str, TaskExecution]:
    """The next attempts at these, and at those, and so on."""
    found: dict[str, TaskExecution] = {}
    newest: Sequence[TaskExecution] = [*known.values()]
    for _ in range(_ATTEMPTS):
        wanted = {one.retried_by for one in newest if one.retried_by is not None} - {*known, *found}
        if not wanted:
            break
        more = await _by_id(read_model, [ListedExecution(id_, 0) for id_ in sorted(wanted)])
        found |= more
        newest = [*more.values()]
    return found


async def _by_id(read_model: ReadModel, listed: Sequence[ListedExecution]) -> dict[str, TaskExecution]:
    return {one.id: one for one in await whole([*dict.fromkeys(listed)], read_model)}


def _told(failed: FailedExecution, found: Executions, later: ListedExecution | None) -> InboxFailure:
    failure = found[failed.execution_id]
    return InboxFailure(
        execution_id=failure.id,
        task_id=failure.task_id,
        task_version=failure.task_version,
        created_at=failure.metadata.created_at,
        completed_at=from_epoch_ms(failed.ended_ms),
        fingerprint=failed.fingerprint,
        error_message=failure.error_message and failure.error_message[:_SHOWN],
        attempt=failure.attempt,
        retried_by=failure.retried_by,
        cured_by=cure(failure, found, None if later is None else found.get(later.execution_id)),
    )


def cure(failure: TaskExecution, found: Executions, later: TaskExecution | None) -> CuredBy | None:
    """What cured it, as far as can be said: the surest first. `later` is the next success of its task."""
    attempt: TaskExecution | None = failure
    while attempt is not None and attempt.status is Status.FAILURE:
        attempt = found.get(attempt.retried_by or "")
    if attempt is not None and attempt.status is Status.SUCCESS:
        return CuredBy(execution_id=attempt.id, how=Cure.ATTEMPT, completed_at=attempt.completed_at)
    if later is None:
        return None
    how = Cure.LATER_SUCCESS
    if later.retry_of is not None and later.retry_of in {failure.id, failure.retry_of}:
        how = Cure.ATTEMPT
    elif later.resolved_inputs is not None and canonical(later.resolved_inputs) == canonical(failure.resolved_inputs):
        how = Cure.SAME_INPUTS
    return CuredBy(execution_id=later.id, how=how, completed_at=later.completed_at)
