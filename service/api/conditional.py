"""Answers that are sent only if they differ from what the client has (RFC 9110, 13.1.2)."""

from hashlib import blake2b
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from service.api.names import ETAG, IF_NONE_MATCH
from service.contracts.envelope import JSON
from service.queries.answers import TaskExecutionAnswer

_FRESHNESS: Final = {"as_of", "lag"}


def unless_known(request: Request, answer: TaskExecutionAnswer) -> Response:
    """The record, or 304 where the client has it as it is.

    The ETag is weak: `asOf` and `lag` change with every answer, and the record is the same.
    """
    record = answer.model_dump_json(exclude_none=True, exclude=_FRESHNESS)
    etag = f'W/"{blake2b(record.encode(), digest_size=12).hexdigest()}"'
    headers = {ETAG: etag, "Cache-Control": "private, no-cache"}
    if _is_known(request, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(answer.model_dump_json(exclude_none=True), media_type=JSON, headers=headers)


def _is_known(request: Request, etag: str) -> bool:
    known = ",".join(request.headers.getlist(IF_NONE_MATCH))
    opaque = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in {opaque, "*"} for one in known.split(","))
