"""The page of one execution, and what can be done to it there."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from service.api.commands import PathId
from service.api.ports import Queries
from service.api.principals import source_of
from service.api.requests import NoParameters, query
from service.contracts.commands import StopTaskExecution
from service.contracts.problems import Problem, RejectedError
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.ports.commands import CommandGateway
from service.queries.answers import TaskExecutionAnswer
from service.queries.requests import Fresh, GetTaskExecutionFailures, ListTaskCommandRejections
from service.web.again import command_again
from service.web.asking import together
from service.web.following import place_of, stream_from
from service.web.forms import chosen, read_form
from service.web.graph_drawing import drawn
from service.web.rendering import page
from service.web.routing import PageRoute
from service.web.sending import key_of, sent
from service.web.timeline import stages_of, steps_of

_ONE: Final = "/executions/{executionId}"

_Reading = Annotated[Fresh, Depends(chosen(Fresh))]
_None = Annotated[NoParameters, Depends(query(NoParameters))]


def execution_pages(queries: Queries, commands: CommandGateway, principal_header: str | None) -> APIRouter:
    """The routes of the page, and of its forms."""
    router, source = APIRouter(route_class=PageRoute), source_of(principal_header)

    @router.get(_ONE)
    async def show(request: Request, execution_id: PathId, fresh: _Reading) -> Response:
        return await _shown(request, queries, execution_id, fresh.min_position)

    @router.post(f"{_ONE}/stop")
    async def stop(request: Request, execution_id: PathId, _: _None) -> Response:
        form, who = await read_form(request), source(request)
        command = StopTaskExecution(execution_id=execution_id, reason=form.get("reason"))
        try:
            return await sent(request, commands, command, form, who)
        except RejectedError as refused:
            return await _shown(request, queries, execution_id, why=refused.problem)

    @router.get(f"{_ONE}/again")
    async def form_again(request: Request, execution_id: PathId, _: _None) -> Response:
        return _form(request, await queries.get(execution_id))

    @router.post(f"{_ONE}/again")
    async def again(request: Request, execution_id: PathId, _: _None) -> Response:
        form, who = await read_form(request), source(request)
        old = await queries.get(execution_id)
        try:
            return await sent(request, commands, command_again(old, form), form, who)
        except RejectedError as refused:
            return _form(request, old, form, refused.problem)

    return router


async def _shown(
    request: Request, queries: Queries, id_: str, min_position: str | None = None, why: Problem | None = None
) -> Response:
    place = await place_of(queries, min_position)
    found = await queries.get(id_, min_position=min_position)
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
        "live": stream_from(place, [("executionId", found.id)]),
        "why": why,
        "key": key_of(None, why),
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
    values = {
        "found": old,
        "why": why,
        "key": key_of(form, why),
        "inputs": (form or {}).get("inputs") or json.dumps(old.resolved_inputs or {}, indent=2, ensure_ascii=False),
        "version": (form or {}).get("taskVersion", old.task_version),
    }
    return page(request, "again.html", values, HTTPStatus.OK if why is None else why.status)
