"""How executions that depend on each other come to know of each other (spec, invariant 4). Pure.

Each speaks for itself, by internal commands: a new one tells those it waits for that it does; one that ends tells
those that wait for it. They may be created in any order, and each command may come more than once.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, assert_never

from msgspec.structs import replace

from service.contracts.commands import SkipCause, StopTaskExecution
from service.contracts.dependencies import Dependency as Named
from service.contracts.envelope import SOURCE
from service.contracts.events import Dependency, TaskExecutionReady, TaskExecutionSkipped
from service.contracts.internal import (
    AnyCommand,
    AwaitTaskExecution,
    FindCycle,
    InternalCommand,
    ResolveDependency,
)
from service.contracts.problems import Code, FieldError, reject
from service.contracts.status import Status
from service.domain.decided import NOTHING, Decision, Edge, Request
from service.domain.execution import Execution, Expected
from service.domain.happening import changed, happened, next_event
from service.domain.terms import Terms

MAX_BEHIND: Final = 100
"""So many of those that wait for an execution are known where it is created: a short cycle is refused there."""

MAX_VISITED: Final = 10_000
"""So many executions are looked at to find a cycle, and as many are known that are still to be looked at."""

_CAUSES: Final = {
    Status.FAILURE: SkipCause.UPSTREAM_FAILED,
    Status.STOPPED: SkipCause.UPSTREAM_STOPPED,
    Status.SKIPPED: SkipCause.UPSTREAM_SKIPPED,
}


def upstreams_of(named: Sequence[Named]) -> tuple[Dependency, ...]:
    """What a command names, as events and states have it."""
    return tuple(Dependency(one.execution_id, one.node, one.condition) for one in named)


def check_no_cycle(id_: str, upstreams: Iterable[Dependency], expected: Expected | None) -> None:
    """Check that a new execution does not wait for itself, as far as is known here; `find_cycle` knows the rest.

    Raises:
        RejectedError: it does.
    """
    behind = {id_, *(expected.behind if expected is not None else ())}
    errors = tuple(
        FieldError(pointer=f"#/dependsOn/{index}", detail=f"{one.node} waits for this execution")
        for index, one in enumerate(upstreams)
        if one.execution_id in behind
    )
    if errors:
        detail = f"Task execution {id_} would wait for itself, and never start. Leave out what closes the cycle."
        raise reject(Code.DEPENDENCY_CYCLE, detail, errors)


def announcements(state: Execution, expected: Expected | None = None) -> list[AnyCommand]:
    """What an execution tells those that it waits for; `expected` is what was known of it before it was created."""
    terms, id_ = state.terms, state.execution_id
    behind = expected.behind if expected is not None else ()
    told: list[AnyCommand] = [
        AwaitTaskExecution(
            execution_id=one.execution_id,
            downstream=id_,
            created_at=state.created_at,
            condition=one.condition,
            behind=behind,
        )
        for one in terms.upstreams
    ]
    if expected is not None and told:
        told += find_cycle(id_, terms)
    return told


def advised(
    state: Execution | Expected | None, command: InternalCommand, request: Request, kept: timedelta | None
) -> Decision:
    """What comes of an internal command; none is ever refused."""
    match command:
        case AwaitTaskExecution():
            return _awaited(state, command, kept)
        case ResolveDependency():
            return _resolved(state, command, request, kept) if type(state) is Execution else NOTHING
        case FindCycle():
            return Decision(commands=_visited(state, command))
        case _:
            assert_never(command)


def resolution(state: Execution, edge: Edge) -> ResolveDependency:
    """What one that has ended tells one that waits for it."""
    terms = state.terms
    return ResolveDependency(
        execution_id=edge.downstream,
        upstream=state.execution_id,
        status=state.status,
        is_met=edge.condition is None or edge.condition in terms.true_outputs,
        retried_by=terms.retried_by,
    )


def find_cycle(origin: str, terms: Terms) -> list[AnyCommand]:
    """Begin to look whether an execution waits for itself."""
    return _next_visit(origin, [one.execution_id for one in terms.upstreams], [])


def _awaited(state: Execution | Expected | None, command: AwaitTaskExecution, kept: timedelta | None) -> Decision:
    edge = Edge(command.execution_id, command.downstream, command.condition)
    if not isinstance(state, Execution):
        known = () if state is None else state.behind
        behind = dict.fromkeys((*known, command.downstream, *command.behind))
        return Decision(state=Expected((*behind,)[:MAX_BEHIND]), waiting=(edge,))
    if state.completed_at is not None:
        return Decision(commands=(resolution(state, edge),))
    terms = state.terms
    # Ordered by when they were created, a cycle has one that came before what it waits for.
    came_first = (command.created_at, command.downstream) < (state.created_at, state.execution_id)
    looks = find_cycle(state.execution_id, terms) if came_first and terms.upstreams else ()
    if terms.is_awaited:
        return Decision(waiting=(edge,), commands=looks)
    after = replace(state, terms=replace(terms, is_awaited=True))
    return changed(after, kept, waiting=(edge,), commands=looks)


def _resolved(state: Execution, command: ResolveDependency, request: Request, kept: timedelta | None) -> Decision:
    terms = state.terms
    found = next((one for one in terms.upstreams if one.execution_id == command.upstream), None)
    if found is None or state.status is not Status.PENDING:
        return NOTHING
    if command.retried_by is not None:
        return _follow_attempt(state, found, command.retried_by, kept)
    cause = _CAUSES.get(command.status) or (None if command.is_met else SkipCause.CONDITION_FALSE)
    caused = request.command_id, request.command_hash
    if cause is not None:
        common = next_event(state, Status.SKIPPED, request.at, caused)
        return happened(state, TaskExecutionSkipped(**common, skip_reason=f"{cause}: {found.node}"), kept)
    left = tuple(one for one in terms.upstreams if one is not found)
    if not left and terms.not_before is None:
        return happened(state, TaskExecutionReady(**next_event(state, Status.PENDING, request.at, caused)), kept)
    return changed(replace(state, terms=replace(terms, upstreams=left)), kept)


def _follow_attempt(state: Execution, failed: Dependency, next_: str, kept: timedelta | None) -> Decision:
    terms = state.terms
    upstreams = tuple(replace(one, execution_id=next_) if one is failed else one for one in terms.upstreams)
    after = replace(state, terms=replace(terms, upstreams=upstreams))
    tell = AwaitTaskExecution(
        execution_id=next_, downstream=state.execution_id, created_at=state.created_at, condition=failed.condition
    )
    return changed(after, kept, commands=(tell,))


def _visited(state: Execution | Expected | None, command: FindCycle) -> list[AnyCommand]:
    upstreams = state.terms.upstreams if type(state) is Execution and state.status is Status.PENDING else ()
    for one in upstreams:
        if one.execution_id == command.origin:
            reason = (
                f"dependency_cycle: it waits for itself, by way of {command.execution_id}, which waits for {one.node}"
            )
            return [StopTaskExecution(execution_id=command.origin, reason=reason, requested_by=SOURCE)]
    visited = [*command.visited, command.execution_id]
    known = {*visited, *command.to_visit}
    to_visit = [*command.to_visit, *(one.execution_id for one in upstreams if one.execution_id not in known)]
    return _next_visit(command.origin, to_visit[:MAX_VISITED], visited) if len(visited) < MAX_VISITED else []


def _next_visit(origin: str, to_visit: list[str], visited: list[str]) -> list[AnyCommand]:
    if not to_visit:
        return []
    next_, *rest = to_visit
    return [FindCycle(execution_id=next_, origin=origin, to_visit=tuple(rest), visited=tuple(visited))]
