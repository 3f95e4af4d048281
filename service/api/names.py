"""The names of paths and headers, and what OpenAPI says of them."""

from typing import Any, Final

PREFIX: Final = "/api/v1"
ALL: Final = "/task-executions"
ONE: Final = ALL + "/{executionId}"
EXECUTIONS: Final = PREFIX + ALL
CLAIMS: Final = "/task-execution-claims"
ENDS: Final = "/task-execution-ends"
FAILURES: Final = "/task-execution-failures"
DEFINITIONS: Final = "/task-definitions"
REJECTIONS: Final = "/task-command-rejections"

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""A request's: makes sending again safe. With the API's CloudEvents source, it is the command's identity."""

POSITION: Final = "Task-Execution-Position"
"""A command's answer: the place of its event. A query given it as `minPosition` shows what the command did."""

REPLAYED: Final = "Idempotent-Replayed"
"""A command's answer: `true` where the command says what is already so, and nothing changed."""

PREFER: Final = "Prefer"
APPLIED: Final = "Preference-Applied"
LOCATION: Final = "Location"
RETRY_AFTER: Final = "Retry-After"

RESPONSE_HEADERS: Final[dict[str, dict[str, Any]]] = {
    POSITION: {
        "description": "Where the command's event is: `partition:offset`. Give it to a query as `minPosition` to read "
        "what you wrote.",
        "schema": {"type": "string", "examples": ["3:1207"]},
    },
    REPLAYED: {
        "description": "`true` where the command says what is already so: nothing changed.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    LOCATION: {"description": "The path of the task execution.", "schema": {"type": "string"}},
    IDEMPOTENCY_KEY: {"description": "The key to send again with.", "schema": {"type": "string"}},
    APPLIED: {"description": "Which preferences were applied.", "schema": {"type": "string"}},
    RETRY_AFTER: {"description": "Seconds after which to try again.", "schema": {"type": "string"}},
}
"""Response headers as OpenAPI header objects."""

PREFER_PARAMETER: Final[dict[str, Any]] = {
    "name": PREFER,
    "in": "header",
    "description": "RFC 7240. `wait=N`: answer within N seconds, at most 60, with 202 if there is no reply by then. "
    "`return=minimal`: leave out `resolvedInputs`, which then need not be looked up.",
    "schema": {"type": "string"},
    "examples": {"wait": {"value": "wait=5"}, "minimal": {"value": "return=minimal"}},
}
