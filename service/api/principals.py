"""Who calls: what an authenticating proxy in front of the API says of a request."""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request

from service.contracts.problems import Code, FieldError, reject

SOURCE: Final = "/task-execution-service/api"
"""The CloudEvents source of commands that come over HTTP: with the Idempotency-Key, their identity."""

SourceOf = Callable[[Request], str]
"""The CloudEvents source of a request's command."""

_PRINCIPAL: Final = r"^[!-~]([ -~]{0,253}[!-~])?$"


def source_of(header: str | None) -> SourceOf:
    """The source of a command, which has the caller's principal in it where `header` names one.

    So each principal has idempotency keys of its own. What is returned raises RejectedError: the header is missing, is
    there more than once, or is not 1 to 255 printable ASCII characters.
    """

    def source(request: Request) -> str:
        if header is None:
            return SOURCE
        values = request.headers.getlist(header)
        if not any(values):
            detail = (
                f"The request does not say who calls: it has no header {header}. Call through the proxy that sets it."
            )
            raise reject(Code.PRINCIPAL_REQUIRED, detail)
        flaw = "given more than once"
        if len(values) == 1:
            if re.fullmatch(_PRINCIPAL, values[0]):
                return f"{SOURCE}/principals/{quote(values[0], safe='')}"
            flaw = "must be 1 to 255 printable ASCII characters"
        errors = (FieldError(pointer=f"#/header/{header}", detail=flaw),)
        raise reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", errors)

    return source


def principal_parameters(header: str | None) -> list[dict[str, Any]]:
    """The header as an OpenAPI parameter, where there is one."""
    if header is None:
        return []
    meaning = "Who calls; set by the proxy in front. Each principal has idempotency keys of its own."
    return [
        {
            "name": header,
            "in": "header",
            "required": True,
            "description": meaning,
            "schema": {"type": "string", "pattern": _PRINCIPAL},
        }
    ]
