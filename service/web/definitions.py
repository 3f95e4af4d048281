"""The pages of definitions, and the form that starts an execution."""

from http import HTTPStatus
from itertools import pairwise
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from service.api.definitions import PathTask, PathVersion
from service.api.principals import source_of
from service.api.requests import NoParameters, query
from service.contracts.problems import Problem, RejectedError
from service.domain.definition_changes import IDENTITY, changes
from service.ports.commands import CommandGateway
from service.ports.definitions import Definitions, ListTaskDefinitions, TaskDefinitionAnswer
from service.web.forms import chosen, read_form
from service.web.rendering import page
from service.web.routing import PageRoute
from service.web.sending import key_of, sent
from service.web.start_form import command_of, errors_at, fields_of, hints_of, kept, unplaced

_TASK: Final = "/definitions/{taskId}"
_VERSION: Final = "/definitions/{taskId}/{version}"
_SHOWN: Final = 20
"""Versions whose differences are told."""

_None = Annotated[NoParameters, Depends(query(NoParameters))]


def definition_pages(definitions: Definitions, commands: CommandGateway, principal_header: str | None) -> APIRouter:
    """The routes of the pages; a form is sent to the page that shows it."""
    router, source = APIRouter(route_class=PageRoute), source_of(principal_header)

    @router.get("/definitions")
    async def list_(
        request: Request, wanted: Annotated[ListTaskDefinitions, Depends(chosen(ListTaskDefinitions))]
    ) -> Response:
        return page(request, "definitions.html", {"found": await definitions.list(wanted), "wanted": wanted})

    @router.get(_TASK)
    async def task(request: Request, task_id: PathTask, _: _None) -> Response:
        listed = (await definitions.list(ListTaskDefinitions(task_id=task_id, page_size=1000))).items
        whole = [await definitions.get(task_id, one.version) for one in listed[:_SHOWN]]
        values = {"task_id": task_id, "listed": listed, "differences": _differences(whole)}
        return page(request, "definition_versions.html", values)

    @router.get(_VERSION)
    async def show(request: Request, task_id: PathTask, version: PathVersion, _: _None) -> Response:
        return _shown(request, await definitions.get(task_id, version))

    @router.post(_VERSION)
    async def start(request: Request, task_id: PathTask, version: PathVersion, _: _None) -> Response:
        found, given = await definitions.get(task_id, version), await read_form(request)
        if found.definition is None:
            return _shown(request, found)
        try:
            return await sent(request, commands, command_of(found.definition, given), given, source(request))
        except RejectedError as refused:
            return _shown(request, found, given, refused.problem)

    return router


def _shown(
    request: Request, found: TaskDefinitionAnswer, given: dict[str, str] | None = None, why: Problem | None = None
) -> Response:
    """The version, and its form: as it begins, or as it was sent and refused."""
    values: dict[str, Any] = {"found": found, "problem": why, "key": key_of(given, why), "hints_of": hints_of}
    if found.definition is not None:
        again = None if given is None else kept(found.definition, given)
        fields = fields_of(found.definition, again, why)
        values |= {
            "fields": fields,
            "given": again or {},
            "others": unplaced(fields, why),
            "at": lambda place: errors_at(why, place),
        }
    return page(request, "definition.html", values, HTTPStatus.OK if why is None else why.status)


def _differences(versions: list[TaskDefinitionAnswer]) -> dict[str, Any]:
    """By version, what changed since the one before, for who calls it."""
    usable = [one.definition for one in versions if one.definition is not None]
    return {new.version: changes(old, new, IDENTITY | {"status"}) for new, old in pairwise(usable)}
