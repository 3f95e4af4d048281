"""Reads what a request holds, strictly: JSON bodies by our one codec, and query strings without typing errors."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Request
from pydantic import ValidationError

from service.contracts.codec import MalformedJsonError, decode, pointer
from service.contracts.envelope import JSON, TRACE_HEADERS
from service.contracts.model import Contract
from service.contracts.problems import Code, FieldError, RejectedError, field_errors, listed, reject
from service.contracts.topics import MAX_COMMAND_BYTES

Parameters = TypeVar("Parameters", bound=Contract)
AnyCommand = TypeVar("AnyCommand", bound=Contract)

EXECUTION_ID: Final = "executionId"


class NoParameters(Contract):
    """The query of a resource that takes none."""


def query(model: type[Parameters]) -> Callable[[Request], Parameters]:
    """A dependency that reads the query string.

    The dependency raises RejectedError: a parameter is unknown, repeated or not valid, everything at once.
    """
    several = model.names_of_several()

    def read(request: Request) -> Parameters:
        pairs = request.query_params.multi_items()
        given: dict[str, object] = dict(pairs)
        given |= {name: request.query_params.getlist(name) for name in several & given.keys()}
        errors = tuple(
            FieldError(pointer=pointer("#/query", name), detail="given more than once")
            for name, times in Counter(name for name, _ in pairs).items()
            if times > 1 and name not in several
        )
        try:
            unquote_to_bytes(request.scope["query_string"]).decode()
        except UnicodeDecodeError:
            errors += (FieldError(pointer="#/query", detail="must be UTF-8, percent-encoded"),)
        try:
            parameters = model.model_validate(listed(given, model.wire_names()), by_alias=True, by_name=False)
        except ValidationError as error:
            errors += field_errors(error, model.wire_names(), "query")
        if errors:
            raise reject(Code.INVALID_REQUEST, "The query string is not valid: see errors.", errors)
        return parameters

    return read


async def read_command(request: Request, model: type[AnyCommand], execution_id: str | None = None) -> AnyCommand:
    """The command in the body; an empty body counts as `{}`. `execution_id` is the one in the path, if there is one.

    Raises:
        RejectedError: the body is too large, not JSON, or does not fit the schema: all that is wrong with it.
    """
    data = await _read_json(request)
    known = model.wire_names()
    if isinstance(data, dict):
        data = dict(listed(data, known))
    if execution_id is not None and isinstance(data, dict):
        known.remove(EXECUTION_ID)
        if EXECUTION_ID in data:
            detail = f"unknown here, for the path names it; allowed are: {', '.join(known)}"
            raise _invalid(model, (FieldError(pointer=f"#/{EXECUTION_ID}", detail=detail),))
        data = {**data, EXECUTION_ID: execution_id}
    try:
        return model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(model, field_errors(error, known)) from None


def trace_of(request: Request) -> tuple[tuple[str, bytes], ...]:
    """The W3C trace headers, to pass on as they came."""
    return tuple((name, request.headers[name].encode("latin-1")) for name in TRACE_HEADERS if name in request.headers)


async def _read_json(request: Request) -> Any:  # noqa: ANN401 - JSON is any
    # A body without a type, or with that of a form, is what a browser sends for any page without asking.
    sent = ", ".join(request.headers.getlist("content-type")) or "missing"
    if sent.partition(";")[0].strip().lower() != JSON:
        detail = f"The header Content-Type is {sent}. Send `Content-Type: {JSON}`, even where the body is empty."
        raise reject(Code.UNSUPPORTED_MEDIA_TYPE, detail)
    raw = await read_body(request)
    if not raw:
        return {}
    try:
        return decode(raw)
    except MalformedJsonError as error:
        flaw = FieldError(pointer=error.pointer, detail=error.detail)
        raise reject(Code.INVALID_JSON, f"The body is not strict JSON: {error.detail}.", (flaw,)) from None


async def read_body(request: Request) -> bytes:
    """The body, of a size that a command may have.

    Raises:
        RejectedError: it is larger.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_COMMAND_BYTES:
        raise _too_large(declared)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_COMMAND_BYTES:
            raise _too_large(f"more than {MAX_COMMAND_BYTES}")
    return bytes(raw)


def _too_large(size: str) -> RejectedError:
    return reject(
        Code.PAYLOAD_TOO_LARGE,
        f"The body has {size} bytes; at most {MAX_COMMAND_BYTES} are allowed. Pass large data by reference: a file.",
    )


def _invalid(model: type[Contract], errors: tuple[FieldError, ...]) -> RejectedError:
    return reject(Code.INVALID_COMMAND, f"The body does not fit the schema of {model.__name__}: see errors.", errors)
