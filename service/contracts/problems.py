"""Every way a request can be refused: the codes, and the RFC 9457 object that carries them everywhere."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, ValidationError

from service.contracts.codec import pointer
from service.contracts.model import Contract
from service.contracts.status import Status
from service.contracts.wording import detail_of

Given = TypeVar("Given")


class Code(StrEnum):
    """The stable, machine-readable name of a problem; new ones may come, none changes its meaning."""

    MALFORMED_REQUEST = "malformed_request"
    HEAD_TOO_LARGE = "head_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    HOST_NOT_ALLOWED = "host_not_allowed"
    CROSS_ORIGIN = "cross_origin"
    PRINCIPAL_REQUIRED = "principal_required"
    INVALID_JSON = "invalid_json"
    INVALID_ENVELOPE = "invalid_envelope"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNKNOWN_COMMAND = "unknown_command"
    INVALID_COMMAND = "invalid_command"
    INVALID_REPLY_TO = "invalid_reply_to"
    DEFINITION_NOT_FOUND = "definition_not_found"
    DEFINITION_NOT_PUBLISHED = "definition_not_published"
    DEFINITION_UNUSABLE = "definition_unusable"
    INVALID_INPUTS = "invalid_inputs"
    INVALID_OUTPUTS = "invalid_outputs"
    SPARK_NOT_ALLOWED = "spark_not_allowed"
    EXECUTION_NOT_FOUND = "execution_not_found"
    INVALID_TRANSITION = "invalid_transition"
    NOT_READY = "not_ready"
    NOT_OWNER = "not_owner"
    DEPENDENCY_CYCLE = "dependency_cycle"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PROJECTION_BEHIND = "projection_behind"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


# code -> (HTTP status, title); the title never changes with the occurrence (RFC 9457, 3.1.3)
_KINDS: Final = {
    Code.MALFORMED_REQUEST: (HTTPStatus.BAD_REQUEST, "The request is not valid HTTP"),
    Code.HEAD_TOO_LARGE: (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of the request is too large"),
    Code.REQUEST_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time"),
    Code.HOST_NOT_ALLOWED: (HTTPStatus.MISDIRECTED_REQUEST, "The service does not answer to this host"),
    Code.CROSS_ORIGIN: (HTTPStatus.FORBIDDEN, "Other origins may not change anything"),
    Code.PRINCIPAL_REQUIRED: (HTTPStatus.FORBIDDEN, "The request does not say who calls"),
    Code.INVALID_JSON: (HTTPStatus.BAD_REQUEST, "The body is not strict JSON"),
    Code.INVALID_ENVELOPE: (HTTPStatus.BAD_REQUEST, "The CloudEvents envelope is not valid"),
    Code.PAYLOAD_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The command is too large"),
    Code.UNKNOWN_COMMAND: (HTTPStatus.BAD_REQUEST, "The command type is unknown"),
    Code.INVALID_COMMAND: (HTTPStatus.UNPROCESSABLE_ENTITY, "The command does not fit its schema"),
    Code.INVALID_REPLY_TO: (HTTPStatus.BAD_REQUEST, "The reply topic is not allowed"),
    Code.DEFINITION_NOT_FOUND: (HTTPStatus.UNPROCESSABLE_ENTITY, "The task definition does not exist"),
    Code.DEFINITION_NOT_PUBLISHED: (HTTPStatus.UNPROCESSABLE_ENTITY, "The task definition is not published"),
    Code.DEFINITION_UNUSABLE: (HTTPStatus.UNPROCESSABLE_ENTITY, "The task definition cannot be used"),
    Code.INVALID_INPUTS: (HTTPStatus.UNPROCESSABLE_ENTITY, "The inputs do not fit the task definition"),
    Code.INVALID_OUTPUTS: (HTTPStatus.UNPROCESSABLE_ENTITY, "The outputs do not fit the task definition"),
    Code.SPARK_NOT_ALLOWED: (HTTPStatus.UNPROCESSABLE_ENTITY, "Only PySpark tasks have a Spark application"),
    Code.EXECUTION_NOT_FOUND: (HTTPStatus.NOT_FOUND, "The task execution does not exist"),
    Code.INVALID_TRANSITION: (HTTPStatus.CONFLICT, "The task execution does not allow this command now"),
    Code.NOT_READY: (HTTPStatus.CONFLICT, "The task execution cannot start yet"),
    Code.NOT_OWNER: (HTTPStatus.CONFLICT, "Another worker owns the task execution"),
    Code.DEPENDENCY_CYCLE: (HTTPStatus.CONFLICT, "The task execution would wait for itself"),
    Code.IDEMPOTENCY_CONFLICT: (HTTPStatus.CONFLICT, "The same source and id came with another payload"),
    Code.INVALID_REQUEST: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    Code.NOT_FOUND: (HTTPStatus.NOT_FOUND, "There is no such resource"),
    Code.METHOD_NOT_ALLOWED: (HTTPStatus.METHOD_NOT_ALLOWED, "The resource does not support this method"),
    Code.UNSUPPORTED_MEDIA_TYPE: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not sent as JSON"),
    Code.PROJECTION_BEHIND: (HTTPStatus.SERVICE_UNAVAILABLE, "The read side has not caught up yet"),
    Code.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "A part that is needed did not answer"),
    Code.INTERNAL_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed"),
}

MAX_ERRORS: Final = 100
"""How many field errors a problem lists."""

MAX_TEXT: Final = 2_000
"""How many characters a detail or pointer has at most: a problem stays small, whatever the request held."""

TYPE_PREFIX: Final = "urn:task-execution-service:problem:"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


Text = Annotated[str, AfterValidator(_cut)]


class FieldError(Contract):
    """One thing that is wrong: where (`pointer`, a JSON pointer in URI fragment form), and what is allowed there."""

    pointer: Text
    detail: Text


class Problem(Contract):
    """An RFC 9457 problem details object. `status` is the HTTP status that fits, over Kafka as well."""

    type: str
    title: str
    status: int
    detail: Text
    code: Code
    errors: tuple[FieldError, ...] = ()
    current_status: Status | None = None
    allowed_commands: tuple[str, ...] | None = None


def problem(
    code: Code,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    *,
    current_status: Status | None = None,
    allowed_commands: tuple[str, ...] | None = None,
) -> Problem:
    """Make the problem of this code; `detail` says what was wrong this time and what to do.

    Of more than `MAX_ERRORS` errors, the first ones are listed.
    """
    status, title = _KINDS[code]
    if len(errors) > MAX_ERRORS:
        errors = (*errors[:MAX_ERRORS], FieldError(pointer="#", detail="there are more errors than are listed"))
    return Problem(
        type=TYPE_PREFIX + code, title=title, status=status, detail=detail, code=code, errors=errors,
        current_status=current_status, allowed_commands=allowed_commands,
    )  # fmt: skip


class RejectedError(Exception):
    """A command or request is refused; `problem` is the answer. The action it asks for: reject, and go on."""

    def __init__(self, reason: Problem) -> None:
        super().__init__(f"{reason.code}: {reason.detail}")
        self.problem = reason

    @property
    def code(self) -> Code:
        """Which problem it is."""
        return self.problem.code


def reject(code: Code, detail: str, errors: tuple[FieldError, ...] = ()) -> RejectedError:
    """The exception to raise for a refusal that has no current status to report."""
    return RejectedError(problem(code, detail, errors))


def listed(given: Mapping[str, Given], known: Collection[str]) -> Mapping[str, Given]:
    """The object to validate: of very many unknown names, as many as errors are listed. Each would cost."""
    if len(given) <= len(known) + MAX_ERRORS:
        return given
    unknown = islice((name for name in given if name not in known), MAX_ERRORS + 1)
    return {name: given[name] for name in (*known, *unknown) if name in given}


def field_errors(error: ValidationError, known: Iterable[str], *parent: str) -> tuple[FieldError, ...]:
    """What pydantic found, in our words; `known` are the names allowed in the object that `parent` leads to."""
    unknown = f"unknown; allowed are: {', '.join(known) or 'none'}"
    return tuple(
        FieldError(
            pointer=pointer("#", *parent, *flaw["loc"]),
            detail=unknown if flaw["type"] == "extra_forbidden" else detail_of(flaw),
        )
        for flaw in error.errors(include_url=False, include_input=False)[: MAX_ERRORS + 1]
    )
