"""Actions of people: on many executions, and running one again."""

from fastapi import APIRouter, Depends, Request, Response

from service.api.acting import act, check_form, rerun_of, select, skip_of
from service.api.answers import Action, ActOnTaskExecutions, RerunTaskExecution
from service.api.commands import PathId
from service.api.describe import action_route, rerun_route
from service.api.names import ALL, IDEMPOTENCY_KEY, ONE
from service.api.ports import Queries
from service.api.principals import principal_parameters, source_of
from service.api.requests import NoParameters, query, read_command
from service.api.submitting import IdempotencyKey, Submitter
from service.contracts.commands import Command, ExecuteTask
from service.contracts.envelope import JSON
from service.contracts.model import Contract
from service.contracts.problems import Code, FieldError, reject
from service.contracts.replies import CommandReply
from service.ports.commands import CommandGateway


def action_routes(commands: CommandGateway, queries: Queries, principal_header: str | None = None) -> APIRouter:
    """The routes. `principal_header` is the request header that says who calls, if one does."""
    parameters = principal_parameters(principal_header)
    submitter = Submitter(commands, queries, source_of(principal_header))
    router = APIRouter(tags=["Commands"], dependencies=[Depends(query(NoParameters))])

    @router.post(f"{ALL}/actions", **action_route(parameters))
    async def on_many(request: Request, key: IdempotencyKey = None) -> Response:
        id_, source = submitter.identity(request, key)
        asked = await read_command(request, ActOnTaskExecutions)
        check_form(asked)
        if asked.execution_ids is None:
            return _json(await select(asked, queries))
        if key is None:
            flaw = FieldError(pointer=f"#/header/{IDEMPOTENCY_KEY}", detail="missing: it makes sending again safe")
            raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", (flaw,))
        if asked.action is Action.SKIP:
            skip_of(asked, asked.execution_ids[0])

        async def send(command: Command, execution_id: str) -> CommandReply:
            return await submitter.send(request, command, f"{id_}/{execution_id}", source)

        return _json(await act(asked, queries, send))

    @router.post(f"{ONE}/rerun", **rerun_route(parameters))
    async def rerun(request: Request, execution_id: PathId, key: IdempotencyKey = None) -> Response:
        identity = submitter.identity(request, key)
        asked = await read_command(request, RerunTaskExecution)
        fields = await rerun_of(execution_id, queries, asked.inputs, asked.task_version)
        return await submitter.answer(request, ExecuteTask(**fields, created_by=asked.created_by), identity)

    return router


def _json(answer: Contract) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), media_type=JSON)
