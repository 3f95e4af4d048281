"""The pages of refused commands."""

from base64 import b64decode
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from service.api.ports import Queries
from service.api.principals import source_of
from service.api.queries import PathPosition
from service.api.requests import NoParameters, query
from service.client.redriving import NotKeptError, redriven
from service.contracts.problems import Code, Problem, RejectedError, problem
from service.contracts.rejections import OriginalRecord
from service.contracts.replies import CommandReply, CommandUnansweredError
from service.ports.commands import RawGateway
from service.queries.answers import TaskCommandRejection
from service.queries.requests import ListTaskCommandRejections
from service.web.forms import chosen
from service.web.rendering import SECURITY, page
from service.web.routing import PageRoute

_ONE: Final = "/rejections/{rejectionPosition}"
_SHOWN: Final = 65_536
"""Bytes of a value that the page shows; a download has all that are kept."""

_None = Annotated[NoParameters, Depends(query(NoParameters))]


def rejection_pages(queries: Queries, commands: RawGateway, principal_header: str | None) -> APIRouter:
    """The routes of the pages; sending again is sent to the page that shows the command."""
    router, source = APIRouter(route_class=PageRoute), source_of(principal_header)

    @router.get("/rejections")
    async def list_(
        request: Request, wanted: Annotated[ListTaskCommandRejections, Depends(chosen(ListTaskCommandRejections))]
    ) -> Response:
        raw = {name: value for name, value in request.query_params.items() if value and name != "cursor"}
        values = {"found": await queries.rejections(wanted), "given": raw, "codes": sorted(Code)}
        return page(request, "rejections.html", values)

    @router.get(_ONE)
    async def show(request: Request, position: PathPosition, _: _None) -> Response:
        return _shown(request, await queries.rejection(position))

    @router.get(f"{_ONE}/value")
    async def value(position: PathPosition, _: _None) -> Response:
        record = (await queries.rejection(position)).record
        kept = record and (record.value or record.value_head)
        name = f"rejection-{position.replace(':', '-')}.bin"
        headers = SECURITY | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(b64decode(kept or ""), headers=headers, media_type="application/octet-stream")

    @router.post(_ONE)
    async def redrive(request: Request, position: PathPosition, _: _None) -> Response:
        source(request)  # refuses who does not say who he is
        found = await queries.rejection(position)
        try:
            message = redriven(found.record)
            reply = await commands.submit_raw(message.value, headers=message.headers, key=message.key)
        except NotKeptError as error:
            return _shown(request, found, why=problem(Code.INVALID_REQUEST, str(error)))
        except RejectedError as refused:
            return _shown(request, found, why=refused.problem)
        except CommandUnansweredError as unanswered:
            detail = f"{unanswered}. Send it again: nothing is done twice."
            return _shown(request, found, why=problem(Code.UNAVAILABLE, detail))
        return _shown(request, found, reply=reply, why=reply.problem)

    return router


def _shown(
    request: Request, found: TaskCommandRejection, reply: CommandReply | None = None, why: Problem | None = None
) -> Response:
    record = found.record
    values = {
        "found": found,
        "record": record,
        "headers": [(one.name, readable(b64decode(one.value))) for one in record.headers] if record else [],
        "key": readable(b64decode(record.key)) if record and record.key is not None else None,
        "value": readable(b64decode(record.value or record.value_head or "")[:_SHOWN]) if record else "",
        "cut": record is not None and len(b64decode(record.value or record.value_head or "")) > _SHOWN,
        "obstacle": _obstacle(record),
        "reply": reply,
        "why": why,
    }
    return page(request, "rejection.html", values, HTTPStatus.OK if why is None else why.status)


def _obstacle(record: OriginalRecord | None) -> str | None:
    """Why it cannot be sent again."""
    try:
        redriven(record)
    except NotKeptError as error:
        return str(error)
    return None


def readable(raw: bytes) -> str:
    """As text if it is UTF-8, or else as a hex dump: offset, bytes, and what of them is printable ASCII."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "\n".join(_hex_line(offset, raw[offset : offset + 16]) for offset in range(0, len(raw), 16))


def _hex_line(offset: int, raw: bytes) -> str:
    words = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)  # noqa: PLR2004 - printable ASCII
    return f"{offset:08x}  {raw.hex(' '):<47}  {words}"
