"""Commands over HTTP: each is sent to the write side, and its reply is the answer."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from uuid_utils.compat import uuid7

from service.api.describe import command_route
from service.api.errors import problem_response
from service.api.names import ALL, IDEMPOTENCY_KEY, ONE, POSITION, REPLAYED
from service.api.principals import SourceOf, principal_parameters, source_of
from service.api.requests import NoParameters, query, read_command, trace_of
from service.contracts.commands import (
    Command,
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
from service.contracts.model import ExecutionId
from service.contracts.problems import Code, FieldError, reject
from service.contracts.replies import CommandReply, Outcome
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
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="Makes sending again safe: one key, one command. Without it, every request is a new command.",
        pattern=r"^[!-~]{1,255}$",
    ),
]


def command_routes(commands: CommandGateway, principal_header: str | None = None) -> APIRouter:
    """The routes that change something. `principal_header` is the request header that says who calls, if one does."""
    source, parameters = source_of(principal_header), principal_parameters(principal_header)
    router = APIRouter(tags=["Commands"], dependencies=[Depends(query(NoParameters))])

    @router.post(ALL, **command_route(ExecuteTask, parameters))
    async def execute(request: Request, key: IdempotencyKey = None) -> Response:
        identity = _identity(request, key, source)
        reply = await _submit(commands, request, await read_command(request, ExecuteTask), identity)
        return _answer(reply, HTTPStatus.CREATED, str(request.url.path))

    for action, kind in ACTIONS.items():
        _add(router, action, kind, parameters, commands, source)
    return router


def _add(  # noqa: PLR0913, PLR0917 - what a route is made of
    router: APIRouter,
    action: str,
    kind: type[LifecycleCommand],
    parameters: list[dict[str, Any]],
    commands: CommandGateway,
    source: SourceOf,
) -> None:
    @router.post(f"{ONE}/{action}", **command_route(kind, parameters))
    async def advance(request: Request, execution_id: PathId, key: IdempotencyKey = None) -> Response:
        identity = _identity(request, key, source)
        command = await read_command(request, kind, execution_id)
        return _answer(await _submit(commands, request, command, identity), HTTPStatus.OK)


def _identity(request: Request, key: str | None, source: SourceOf) -> tuple[str, str]:
    """The CloudEvents id and source of the request's command."""
    if len(request.headers.getlist(IDEMPOTENCY_KEY)) > 1:
        flaw = FieldError(pointer=f"#/header/{IDEMPOTENCY_KEY}", detail="given more than once")
        raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", (flaw,))
    return key or str(uuid7()), source(request)


async def _submit(
    commands: CommandGateway, request: Request, command: Command, identity: tuple[str, str]
) -> CommandReply:
    id_, source = identity
    return await commands.submit(command, id_=id_, source=source, trace=trace_of(request))


def _answer(reply: CommandReply, accepted: HTTPStatus, collection: str | None = None) -> Response:
    """The reply in HTTP. `collection` is the path below which a new execution is found, if this made one."""
    if reply.problem is not None:
        return problem_response(reply.problem)
    if reply.task_execution is None:
        raise ValueError(f"the reply holds neither a problem nor an execution: {reply!r}")
    headers = {POSITION: str(reply.position)} if reply.position else {}
    status = accepted
    if reply.outcome is Outcome.DUPLICATE:
        status, headers[REPLAYED] = HTTPStatus.OK, "true"
    if collection:
        headers["Location"] = f"{collection}/{reply.task_execution.id}"
    return Response(reply.task_execution.model_dump_json(exclude_none=True), status, headers, JSON)
