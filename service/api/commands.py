"""Commands over HTTP: each is sent to the write side, and its reply is the answer."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from service.api.describe import command_route
from service.api.names import ALL, ONE
from service.api.ports import Queries
from service.api.principals import principal_parameters, source_of
from service.api.requests import NoParameters, query, read_command
from service.api.submitting import IdempotencyKey, Submitter
from service.contracts.commands import (
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    LifecycleCommand,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.model import ExecutionId
from service.ports.commands import CommandGateway

ACTIONS: Final[dict[str, type[LifecycleCommand]]] = {
    "start": StartTaskExecution,
    "heartbeat": HeartbeatTaskExecution,
    "succeed": SucceedTaskExecution,
    "fail": FailTaskExecution,
    "stop": StopTaskExecution,
    "skip": SkipTaskExecution,
}
"""The last step of the path, and the command that it stands for."""

PathId = Annotated[ExecutionId, Path(alias="executionId", description="The `id` that ExecuteTask returned.")]


def command_routes(commands: CommandGateway, queries: Queries, principal_header: str | None = None) -> APIRouter:
    """The routes that change something. `principal_header` is the request header that says who calls, if one does."""
    parameters = principal_parameters(principal_header)
    submitter = Submitter(commands, queries, source_of(principal_header))
    router = APIRouter(tags=["Commands"], dependencies=[Depends(query(NoParameters))])

    @router.post(ALL, **command_route(ExecuteTask, parameters))
    async def execute(request: Request, key: IdempotencyKey = None) -> Response:
        identity = submitter.identity(request, key)
        return await submitter.answer(request, await read_command(request, ExecuteTask), identity)

    for action, kind in ACTIONS.items():
        _add(router, action, kind, parameters, submitter)
    return router


def _add(
    router: APIRouter,
    action: str,
    kind: type[LifecycleCommand],
    parameters: list[dict[str, Any]],
    submitter: Submitter,
) -> None:
    @router.post(f"{ONE}/{action}", **command_route(kind, parameters))
    async def advance(request: Request, execution_id: PathId, key: IdempotencyKey = None) -> Response:
        identity = submitter.identity(request, key)
        return await submitter.answer(request, await read_command(request, kind, execution_id), identity)
