"""The page of one execution, and what can be done to it there."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from uuid_utils.compat import uuid7

from service.api.commands import PathId
from service.api.ports import Queries
from service.api.principals import source_of
from service.api.requests import NoParameters, query, trace_of
from service.contracts.commands import StopTaskExecution
from service.contracts.problems import Code, Problem, RejectedError, problem
from service.contracts.replies import CommandReply, CommandUnansweredError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.commands import CommandGateway
from service.queries.answers import TaskExecutionAnswer
from service.queries.requests import Fresh, GetTaskExecutionFailures, ListTaskCommandRejections
from service.web.again import command_again
from service.web.asking import together
from service.web.forms import KEY, chosen, read_form
from service.web.graph_drawing import drawn
from service.web.links import link
from service.web.rendering import SECURITY, page
from service.web.routing import PageRoute
from service.web.timeline import stages_of, steps_of

_ONE: Final = "/executions/{executionId}"

_Reading = Annotated[Fresh, Depends(chosen(Fresh))]
_None = Annotated[NoParameters, Depends(query(NoParameters))]


def execution_pages(queries: Queries, commands: CommandGateway, principal_header: str | None) -> APIRouter:
    """The routes of the page, and of its forms."""
    router, source = APIRouter(route_class=PageRoute), source_of(principal_header)

    @router.get(_ONE)
    async def show(request: Request, execution_id: PathId, fresh: _Reading) -> Response:
        found = await queries.get(execution_id, min_position=fresh.min_position)
        return await _shown(request, queries, found)

    @router.post(f"{_ONE}/stop")
    async def stop(request: Request, execution_id: PathId, _: _None) -> Response:
        form = await read_form(request)
        who = source(request)
        try:
            command = StopTaskExecution(execution_id=execution_id, reason=form.get("reason"))
            reply = await _submit(request, command, form, who)
        except RejectedError as refused:
            return await _shown(request, queries, await queries.get(execution_id), refused.problem)
        if reply.problem is not None:
            return await _shown(request, queries, await queries.get(execution_id), reply.problem)
        return _see(reply)

    @router.get(f"{_ONE}/again")
    async def form_again(request: Request, execution_id: PathId, _: _None) -> Response:
        return _form(request, await queries.get(execution_id))

    @router.post(f"{_ONE}/again")
    async def again(request: Request, execution_id: PathId, _: _None) -> Response:
        form, who = await read_form(request), source(request)
        old = await queries.get(execution_id)
        try:
            reply = await _submit(request, command_again(old, form), form, who)
        except RejectedError as refused:
            return _form(request, old, form, refused.problem)
        return _see(reply) if reply.problem is None else _form(request, old, form, reply.problem)

    async def _submit(request: Request, command: Any, form: dict[str, str], who: str) -> CommandReply:  # noqa: ANN401 - any command
        try:
            return await commands.submit(
                command, id_=form.get(KEY) or str(uuid7()), source=who, trace=trace_of(request)
            )
        except CommandUnansweredError as unanswered:
            detail = f"{unanswered}. Send the form again: nothing is done twice."
            raise RejectedError(problem(Code.UNAVAILABLE, detail)) from None

    return router


async def _shown(
    request: Request, queries: Queries, found: TaskExecutionAnswer, why: Problem | None = None
) -> Response:
    answers = await together(
        history=queries.history(found.id),
        graph=queries.graph(found.id),
        rejections=queries.rejections(ListTaskCommandRejections(execution_id=found.id)),
        **({"alike": queries.failures(_at_its_end(found))} if found.status is Status.FAILURE else {}),
    )
    history, graph = answers["history"].answer, answers["graph"].answer
    alike = answers["alike"].answer if "alike" in answers else None
    values: dict[str, Any] = {
        "found": found,
        "why": why,
        "key": str(uuid7()),
        "steps": steps_of(history) if history else [],
        "stages": stages_of(found),
        "drawing": drawn(graph) if graph is not None and graph.edges else None,
        "fingerprint": next((one.fingerprint for one in alike.items if one.execution_id == found.id), None)
        if alike
        else None,
        "raw": json.dumps(history.model_dump(mode="json", exclude_none=True)["items"], indent=2, ensure_ascii=False)
        if history
        else None,
        **answers,
    }
    return page(request, "execution.html", values, HTTPStatus.OK if why is None else why.status)


def _at_its_end(found: TaskExecutionAnswer) -> GetTaskExecutionFailures:
    """Asks for the cause of this failure: for those that ended in the same millisecond."""
    end = found.completed_at
    after = None if end is None else Timestamp.of(end + timedelta(milliseconds=1))
    return GetTaskExecutionFailures(task_id=found.task_id, completed_from=end, completed_to=after, limit=100)


def _form(
    request: Request, old: TaskExecutionAnswer, form: dict[str, str] | None = None, why: Problem | None = None
) -> Response:
    done = why is not None and why.code is Code.IDEMPOTENCY_CONFLICT
    values = {
        "found": old,
        "why": why,
        "key": str(uuid7()) if form is None or done else form.get(KEY) or str(uuid7()),
        "inputs": (form or {}).get("inputs") or json.dumps(old.resolved_inputs or {}, indent=2, ensure_ascii=False),
        "version": (form or {}).get("taskVersion", old.task_version),
    }
    return page(request, "again.html", values, HTTPStatus.OK if why is None else why.status)


def _see(reply: CommandReply) -> Response:
    if reply.task_execution is None:
        raise ValueError(f"the reply holds neither a problem nor an execution: {reply!r}")
    place = link(f"/executions/{reply.task_execution.id}", min_position=reply.position)
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=SECURITY | {"Location": place})
