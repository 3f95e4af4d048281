"""Task definitions over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from service.api.describe import query_route
from service.api.names import DEFINITIONS
from service.api.requests import NoParameters, query
from service.contracts.envelope import JSON
from service.contracts.model import Contract, TaskId, TaskVersion
from service.contracts.problems import Code
from service.ports.definitions import Definitions, ListTaskDefinitions, TaskDefinitionAnswer, TaskDefinitionPage

PathTask = Annotated[TaskId, Path(alias="taskId", description="`namespace:name`.")]
PathVersion = Annotated[TaskVersion, Path(description="`draft` or a semantic version.")]


def definition_routes(definitions: Definitions) -> APIRouter:
    """The routes of definitions; they only read."""
    router = APIRouter(tags=["Definitions"])

    @router.get(
        DEFINITIONS,
        **query_route("ListTaskDefinitions", "By task, newest first", TaskDefinitionPage, ListTaskDefinitions),
    )
    async def list_(wanted: Annotated[ListTaskDefinitions, Depends(query(ListTaskDefinitions))]) -> Response:
        return _answer(await definitions.list(wanted))

    @router.get(
        DEFINITIONS + "/{taskId}/{version}",
        **query_route("GetTaskDefinition", "As it is executed", TaskDefinitionAnswer, NoParameters, Code.NOT_FOUND),
    )
    async def get(
        task_id: PathTask, version: PathVersion, _: Annotated[NoParameters, Depends(query(NoParameters))]
    ) -> Response:
        return _answer(await definitions.get(task_id, version))

    return router


def _answer(answer: Contract) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), media_type=JSON, headers={"Cache-Control": "no-store"})
