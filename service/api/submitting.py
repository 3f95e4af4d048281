"""From a request to its command, and from the command's reply to the answer."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Header, Request, Response
from uuid_utils.compat import uuid7

from service.api.answers import UnansweredCommand
from service.api.completing import completed
from service.api.errors import problem_response
from service.api.names import EXECUTIONS, IDEMPOTENCY_KEY, LOCATION, POSITION, REPLAYED
from service.api.ports import Queries
from service.api.preferences import Preferences
from service.api.principals import SourceOf
from service.api.requests import trace_of
from service.contracts.commands import Command, ExecuteTask
from service.contracts.envelope import JSON
from service.contracts.problems import Code, FieldError, reject
from service.contracts.replies import CommandReply, Outcome
from service.domain.identity import command_id
from service.ports.commands import CommandGateway

KEY_PATTERN: Final = r"^[!-~]{1,255}$"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="Makes sending again safe: one key, one command. Without it, every request is a new command.",
        pattern=KEY_PATTERN,
    ),
]


class Submitter:
    """Sends the commands of requests. `source` says whose they are."""

    def __init__(self, commands: CommandGateway, queries: Queries, source: SourceOf) -> None:
        self._commands, self._queries, self._source = commands, queries, source
        self._unanswered: set[asyncio.Task[CommandReply]] = set()

    def identity(self, request: Request, key: str | None) -> tuple[str, str]:
        """The CloudEvents id and source of the request's command.

        Raises:
            RejectedError: there are several keys, or nobody says who calls.
        """
        if len(request.headers.getlist(IDEMPOTENCY_KEY)) > 1:
            flaw = FieldError(pointer=f"#/header/{IDEMPOTENCY_KEY}", detail="given more than once")
            raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", (flaw,))
        return key or str(uuid7()), self._source(request)

    async def send(self, request: Request, command: Command, id_: str, source: str) -> CommandReply:
        """Send the command with this identity, and wait for its reply; errors as of `CommandGateway`."""
        return await self._commands.submit(command, id_=id_, source=source, trace=trace_of(request))

    async def answer(self, request: Request, command: Command, identity: tuple[str, str]) -> Response:
        """The reply in HTTP.

        Raises:
            CommandUnansweredError: no reply came.
            RejectedError: the command could not be sent.
        """
        preferences = Preferences(request)
        reply = await self._reply_in_time(request, command, identity, preferences.wait)
        if preferences.wait is not None:
            preferences.apply(f"wait={preferences.wait}")
        if reply is None:
            return preferences.tell(_unanswered(command, *identity))
        if reply.problem is not None:
            return preferences.tell(problem_response(reply.problem))
        if preferences.minimal:
            preferences.apply("return=minimal")
        else:
            reply = await completed(reply, self._queries)
        return preferences.tell(_answer(reply, makes=isinstance(command, ExecuteTask)))

    async def _reply_in_time(
        self, request: Request, command: Command, identity: tuple[str, str], seconds: int | None
    ) -> CommandReply | None:
        """The reply, or None if it takes longer; the command is on its way then, whoever goes away."""
        if seconds is None:
            return await self.send(request, command, *identity)
        sending = asyncio.create_task(self.send(request, command, *identity))
        self._unanswered.add(sending)
        sending.add_done_callback(self._ended)
        await asyncio.wait([sending], timeout=seconds)
        return sending.result() if sending.done() else None

    def _ended(self, sending: asyncio.Task[CommandReply]) -> None:
        self._unanswered.discard(sending)
        if not sending.cancelled():
            sending.exception()  # who waits no longer asks again, and is told then


def _answer(reply: CommandReply, *, makes: bool) -> Response:
    if reply.task_execution is None:
        raise ValueError(f"the reply holds neither a problem nor an execution: {reply!r}")
    headers = {POSITION: str(reply.position)} if reply.position else {}
    status = HTTPStatus.CREATED if makes else HTTPStatus.OK
    if reply.outcome is Outcome.DUPLICATE:
        status, headers[REPLAYED] = HTTPStatus.OK, "true"
    if makes:
        headers[LOCATION] = f"{EXECUTIONS}/{reply.task_execution.id}"
    return Response(reply.task_execution.model_dump_json(exclude_none=True), status, headers, JSON)


def _unanswered(command: Command, id_: str, source: str) -> Response:
    execution_id = command_id(source, id_) if isinstance(command, ExecuteTask) else command.execution_id
    pending = UnansweredCommand(
        execution_id=execution_id,
        idempotency_key=id_,
        detail="The command was sent, and has no reply yet: it may still be refused. Send the same request again with "
        f"the header {IDEMPOTENCY_KEY}: {id_} to hear what became of it; it is not carried out twice.",
    )
    headers = {LOCATION: f"{EXECUTIONS}/{execution_id}", IDEMPOTENCY_KEY: id_}
    return Response(pending.model_dump_json(), HTTPStatus.ACCEPTED, headers, JSON)
