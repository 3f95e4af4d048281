"""Acts on the executions that were selected in the list: asks first, then does it, and tells what became of each."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from service.api.acting import act, check_form
from service.api.answers import ActionOutcome, ActOnTaskExecutions
from service.api.ports import Queries
from service.api.principals import source_of
from service.api.requests import trace_of
from service.contracts.commands import Command
from service.contracts.problems import Code, field_errors, reject
from service.contracts.replies import CommandReply
from service.ports.commands import CommandGateway
from service.web.forms import KEY, chosen, read_choice
from service.web.listing import PATH, Listing, ShowTaskExecutions
from service.web.rendering import page
from service.web.routing import PageRoute

_TICKED: Final = "executionId"


def actions_on_chosen(queries: Queries, commands: CommandGateway, principal_header: str | None) -> APIRouter:
    """The route that the list's form is sent to, and then the form that asks whether it is meant.

    Only a form with a key is carried out: the second one has it.
    """
    router, source = APIRouter(route_class=PageRoute), source_of(principal_header)

    @router.post(PATH)
    async def act_on_chosen(
        request: Request, wanted: Annotated[ShowTaskExecutions, Depends(chosen(ShowTaskExecutions))]
    ) -> Response:
        (form, ids), who = await read_choice(request, _TICKED), source(request)
        key = form.pop(KEY, None)
        asked = _asked(form, ids)

        async def send(command: Command, execution_id: str) -> CommandReply:
            return await commands.submit(command, id_=f"{key}/{execution_id}", source=who, trace=trace_of(request))

        results = None if key is None else await act(asked, queries, send)
        values = {
            "asked": asked,
            "results": results,
            "key": key or str(uuid7()),
            "unsure": [one for one in results.items if one.outcome is ActionOutcome.UNANSWERED] if results else [],
            "back": Listing.of(wanted, request.query_params.multi_items()).here,
        }
        return page(request, "chosen.html", values)

    return router


def _asked(form: dict[str, str], ids: tuple[str, ...]) -> ActOnTaskExecutions:
    if not ids:
        raise reject(Code.INVALID_REQUEST, "No execution is selected. Go back, and tick those that are meant.")
    try:
        asked = ActOnTaskExecutions.model_validate({**form, _TICKED + "s": ids}, by_alias=True, by_name=False)
    except ValidationError as error:
        flaws = field_errors(error, ActOnTaskExecutions.wire_names())
        raise reject(Code.INVALID_REQUEST, "The form is not valid: see errors.", flaws) from None
    check_form(asked)
    return asked
