"""Reads what a form sends: urlencoded, strictly, and not too much of it."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from service.api.requests import Parameters, query, read_body
from service.api.submitting import KEY_PATTERN
from service.contracts.problems import Code, FieldError, reject

KEY: Final = "key"
"""The hidden field that makes sending a form twice do nothing twice: it becomes the command's CloudEvents id."""

_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 2_000


def chosen(model: type[Parameters]) -> Callable[[Request], Parameters]:
    """`query` for forms that ask: browsers send their empty fields, too."""
    read = query(model)

    def filled(request: Request) -> Parameters:
        parts = request.scope["query_string"].split(b"&")
        given = b"&".join(part for part in parts if not part.endswith(b"="))
        return read(Request({**request.scope, "query_string": given}))

    return filled


async def read_form(request: Request) -> dict[str, str]:
    """The fields, without those that were left empty. Line ends are line feeds, whatever the browser made of them.

    Raises:
        RejectedError: it is too large, is no form, or has a field twice.
    """
    return _once(await _pairs(request))


async def read_choice(request: Request, name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fields as of `read_form`, and apart from them all values of this one: what was ticked."""
    pairs = await _pairs(request)
    return _once([pair for pair in pairs if pair[0] != name]), tuple(value for one, value in pairs if one == name)


async def _pairs(request: Request) -> list[tuple[str, str]]:
    sent = request.headers.get("content-type", "missing")
    if sent.partition(";")[0].strip().lower() != _FORM:
        raise reject(Code.UNSUPPORTED_MEDIA_TYPE, f"The header Content-Type is {sent}. Forms are sent as {_FORM}.")
    try:
        body = (await read_body(request)).decode("ascii")
        return parse_qsl(body, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise reject(Code.INVALID_REQUEST, f"The body is no form: {error}. Load the page again.") from None


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if twice := [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]:
        errors = tuple(FieldError(pointer=f"#/{name}", detail="given more than once") for name in twice)
        raise reject(Code.INVALID_REQUEST, "The form is not valid: see errors.", errors)
    form = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if not re.fullmatch(KEY_PATTERN, form.get(KEY, "unset")):
        errors = (FieldError(pointer=f"#/{KEY}", detail=f"must match {KEY_PATTERN}, as an Idempotency-Key"),)
        raise reject(Code.INVALID_REQUEST, "The form is not valid: see errors. Load the page again.", errors)
    return form
