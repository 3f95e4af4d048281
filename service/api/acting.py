"""Acts on many executions: which they are, and then a command for each, a bounded number of them in flight."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from pydantic import ValidationError

from service.api.answers import (
    MAX_AT_ONCE,
    Action,
    ActionOutcome,
    ActionResult,
    ActionResults,
    ActOnTaskExecutions,
    SelectedTaskExecutions,
)
from service.api.ports import Queries
from service.contracts.commands import Command, ExecuteTask, SkipCause, SkipTaskExecution, StopTaskExecution
from service.contracts.problems import Code, FieldError, RejectedError, field_errors, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError
from service.contracts.status import Status
from service.domain.rerunning import fields_again
from service.ports.filters import Filters
from service.queries.requests import ListTaskExecutions

POSSIBLE: Final = {
    Action.STOP: (Status.PENDING, Status.RUNNING),
    Action.SKIP: (Status.PENDING,),
    Action.RERUN: tuple(status for status in Status if status.is_final),
}
"""In which status an execution allows the action."""

_IN_FLIGHT: Final = 50
_SECONDS: Final = 30.0
"""After so long, what was not answered is told as such."""

_NOT_NOW: Final = (Code.UNAVAILABLE, Code.PROJECTION_BEHIND)

Send = Callable[[Command, str], Coroutine[Any, Any, CommandReply]]
"""Sends the command for this execution; errors as of `CommandGateway`."""


async def select(asked: ActOnTaskExecutions, queries: Queries) -> SelectedTaskExecutions:
    """Those that fit and allow the action.

    Raises:
        RejectedError: a filter is not valid, or there is none; or as of the query.
    """
    filters = _filters(asked)
    possible = POSSIBLE[asked.action]
    wanted = tuple(status for status in filters.status or possible if status in possible)
    if not wanted:
        return SelectedTaskExecutions(matched=0, execution_ids=())
    given = {name: getattr(filters, name) for name in filters.model_fields_set} | {"status": wanted}
    page = await queries.list(ListTaskExecutions(**given, page_size=asked.limit or MAX_AT_ONCE, cursor=asked.cursor))
    ids = tuple(item.id for item in page.items)
    return SelectedTaskExecutions(matched=page.total, execution_ids=ids, next_cursor=page.next_cursor, as_of=page.as_of)


async def act(asked: ActOnTaskExecutions, queries: Queries, send: Send) -> ActionResults:
    """Do it to each that is named."""
    slots, deadline = asyncio.Semaphore(_IN_FLIGHT), asyncio.get_running_loop().time() + _SECONDS

    async def one(execution_id: str) -> ActionResult:
        try:
            async with asyncio.timeout_at(deadline), slots:
                command = await _command(asked, execution_id, queries)
                return _result(execution_id, await send(command, execution_id), command)
        except (CommandUnansweredError, TimeoutError):
            detail = "No answer came in time: it may still happen. Send the same request again with the same key."
            reason = problem(Code.UNAVAILABLE, detail)
            return ActionResult(execution_id=execution_id, outcome=ActionOutcome.UNANSWERED, problem=reason)
        except RejectedError as refused:
            outcome = ActionOutcome.UNANSWERED if refused.code in _NOT_NOW else ActionOutcome.REJECTED
            return ActionResult(
                execution_id=execution_id, outcome=outcome, problem=refused.problem,
                status=refused.problem.current_status,
            )  # fmt: skip

    items = await asyncio.gather(*map(one, asked.execution_ids or ()))
    count = Counter(item.outcome for item in items)
    return ActionResults(
        items=tuple(items),
        accepted=count[ActionOutcome.ACCEPTED],
        duplicates=count[ActionOutcome.DUPLICATE],
        rejected=count[ActionOutcome.REJECTED],
        unanswered=count[ActionOutcome.UNANSWERED],
    )


async def rerun_of(execution_id: str, queries: Queries, given: dict[str, Any], version: str | None = None) -> Any:  # noqa: ANN401 - ExecuteTask's fields
    """The fields of the command that runs this again.

    Raises:
        RejectedError: invalid_transition, it has not ended; invalid_inputs; or as of the query.
    """
    old = await queries.get(execution_id)
    if not old.status.is_final:
        detail = f"Task execution {old.id} is {old.status}, as far as is known: what has ended can be run again."
        raise RejectedError(problem(Code.INVALID_TRANSITION, detail, current_status=old.status))
    return fields_again(old, given, version)


async def _command(asked: ActOnTaskExecutions, execution_id: str, queries: Queries) -> Command:
    if asked.action is Action.STOP:
        return StopTaskExecution(execution_id=execution_id, reason=asked.reason, requested_by=asked.requested_by)
    if asked.action is Action.SKIP:
        return skip_of(asked, execution_id)
    return ExecuteTask(**await rerun_of(execution_id, queries, {}), created_by=asked.requested_by)


def skip_of(asked: ActOnTaskExecutions, execution_id: str) -> SkipTaskExecution:
    """The command that skips this; whoever decides so is the condition that is not true.

    Raises:
        RejectedError: the reason cannot be the name of a node.
    """
    node = asked.reason or f"skipped by {asked.requested_by or 'an operator'}"
    try:
        return SkipTaskExecution(execution_id=execution_id, reason=SkipCause.CONDITION_FALSE, node=node[:255])
    except ValidationError as error:
        flaw = FieldError(pointer="#/reason", detail=error.errors()[0]["msg"])
        raise reject(Code.INVALID_COMMAND, "The reason cannot be the node of a skip reason.", (flaw,)) from None


def _result(execution_id: str, reply: CommandReply, command: Command) -> ActionResult:
    told = reply.task_execution
    if told is None:
        assert reply.problem is not None  # noqa: S101 - one of the two is there
        raise RejectedError(reply.problem)
    new = told.id if isinstance(command, ExecuteTask) else None
    return ActionResult(
        execution_id=execution_id, outcome=ActionOutcome(reply.outcome), status=told.status, new_execution_id=new
    )


def _filters(asked: ActOnTaskExecutions) -> Filters:
    try:
        filters = Filters.model_validate(asked.filter, by_alias=True, by_name=False)
    except ValidationError as error:
        errors = field_errors(error, Filters.wire_names(), "filter")
        raise reject(Code.INVALID_REQUEST, "The filter is not valid: see errors.", errors) from None
    if not any(getattr(filters, name) not in {None, ()} for name in Filters.model_fields):
        flaw = FieldError(pointer="#/filter", detail=f"must name at least one of: {', '.join(Filters.wire_names())}")
        raise reject(Code.INVALID_REQUEST, "The filter is empty: it would mean all executions.", (flaw,))
    return filters


def check_form(asked: ActOnTaskExecutions) -> None:
    """Refuse what no single field says.

    Raises:
        RejectedError: it is neither a question nor an order, or both; with what to do instead.
    """
    flaws: Sequence[tuple[str, str]] = ()
    if asked.filter is not None and not asked.dry_run:
        flaws = [
            ("dryRun", "must be true beside `filter`: ask first, then send the ids, so that you act on what you saw")
        ]
    elif asked.filter is not None and asked.execution_ids is not None:
        flaws = [("executionIds", "not beside `filter`")]
    elif asked.filter is None and asked.execution_ids is None:
        flaws = [("executionIds", "missing; or give `filter` and `dryRun`")]
    elif asked.filter is None:
        given = {"cursor": asked.cursor, "limit": asked.limit, "dryRun": asked.dry_run or None}
        flaws = [(name, "only beside `filter`") for name, value in given.items() if value is not None]
        if len(set(asked.execution_ids or ())) < len(asked.execution_ids or ()):
            flaws = [*flaws, ("executionIds", "must name each execution once")]
    if flaws:
        errors = tuple(FieldError(pointer=f"#/{name}", detail=detail) for name, detail in flaws)
        raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", errors)
