"""Commands over HTTP: each is sent to the write side, and its reply is the answer."""

from datetime import UTC
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

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
from service.contracts.envelope import JSON
from service.contracts.model import Contract, ExecutionId
from service.contracts.timestamps import Timestamp
from service.domain.identity import command_id
from service.ports.commands import CommandGateway
from service.ports.definitions import Definitions

ACTIONS: Final[dict[str, type[LifecycleCommand]]] = {
    "start": StartTaskExecution,
    "heartbeat": HeartbeatTaskExecution,
    "succeed": SucceedTaskExecution,
    "fail": FailTaskExecution,
    "stop": StopTaskExecution,
    "skip": SkipTaskExecution,
}
"""The last step of the path, and the command that it stands for."""


class HowToExecute(Contract):
    """What is done with an ExecuteTask."""

    dry_run: bool = Field(
        default=False,
        description="Nothing is done: the answer is the execution that the command would make, or why it would be "
        "refused, by the definitions as they are now. Whether its `Idempotency-Key` was used before is not looked up.",
    )


PathId = Annotated[ExecutionId, Path(alias="executionId", description="The `id` that ExecuteTask returned.")]


def command_routes(
    commands: CommandGateway, queries: Queries, definitions: Definitions | None, principal_header: str | None = None
) -> APIRouter:
    """The routes that change something. `principal_header` is the request header that says who calls, if one does.

    Without `definitions`, nobody can say what a command would do.
    """
    parameters = principal_parameters(principal_header)
    submitter = Submitter(commands, queries, source_of(principal_header))
    router = APIRouter(tags=["Commands"])
    asked = HowToExecute if definitions else NoParameters

    @router.post(ALL, **command_route(ExecuteTask, parameters, asked))
    async def execute(
        request: Request, how: Annotated[Contract, Depends(query(asked))], key: IdempotencyKey = None
    ) -> Response:
        id_, source = submitter.identity(request, key)
        command = await read_command(request, ExecuteTask)
        if definitions and isinstance(how, HowToExecute) and how.dry_run:
            made = await definitions.rehearse(command, command_id(source, id_), source, Timestamp.now(UTC))
            return Response(made.model_dump_json(exclude_none=True), media_type=JSON)
        return await submitter.answer(request, command, (id_, source))

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
    @router.post(f"{ONE}/{action}", dependencies=[Depends(query(NoParameters))], **command_route(kind, parameters))
    async def advance(request: Request, execution_id: PathId, key: IdempotencyKey = None) -> Response:
        identity = submitter.identity(request, key)
        return await submitter.answer(request, await read_command(request, kind, execution_id), identity)
