"""Sends what a form asks for; sent twice, it is done once."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response
from uuid_utils.compat import uuid7

from service.api.requests import trace_of
from service.contracts.commands import Command
from service.contracts.problems import Code, Problem, RejectedError, problem
from service.contracts.replies import CommandUnansweredError
from service.ports.commands import CommandGateway
from service.web.forms import KEY
from service.web.links import link
from service.web.rendering import SECURITY


async def sent(
    request: Request, commands: CommandGateway, command: Command, form: Mapping[str, str], source: str
) -> Response:
    """Send the command of this form; the answer leads to the execution.

    Raises:
        RejectedError: it is refused, or was not answered in time.
    """
    try:
        reply = await commands.submit(
            command, id_=form.get(KEY) or str(uuid7()), source=source, trace=trace_of(request)
        )
    except CommandUnansweredError as unanswered:
        detail = f"{unanswered}. Send the form again: nothing is done twice."
        raise RejectedError(problem(Code.UNAVAILABLE, detail)) from None
    if reply.problem is not None:
        raise RejectedError(reply.problem)
    if reply.task_execution is None:
        raise ValueError(f"the reply holds neither a problem nor an execution: {reply!r}")
    place = link(f"/executions/{reply.task_execution.id}", min_position=reply.position)
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=SECURITY | {"Location": place})


def key_of(form: Mapping[str, str] | None, why: Problem | None) -> str:
    """The key of the form as it is shown: that with which it was sent and refused, or a new one."""
    # What was sent with this key has been done: what is sent next is something else.
    is_done = why is not None and why.code is Code.IDEMPOTENCY_CONFLICT
    return str(uuid7()) if form is None or is_done else form.get(KEY) or str(uuid7())
