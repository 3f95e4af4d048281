"""Commands as the client writes them, and the definitions that they name. Pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

SOURCE: Final = "/chaos/client"
SERVICE_SOURCE: Final = "/task-execution-service"
"""Of the commands that the service sends itself."""

TASK: Final = "chaos:resize"
REFUSE: Final = "chaos_refuse"
"""The header of a command that must be refused whatever came before it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A command record. `like_java`: placed as Java's clients do it, at its owner; else as librdkafka does."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    like_java: bool = False


def draft(  # noqa: PLR0913 - one for each part of a record
    type_: str, id_: str, execution: str, body: dict[str, Any], key: str | None, *, like_java: bool = False
) -> Draft:
    """The command with this type, id and payload, about this execution, under this key."""
    headers = {"ce_specversion": "1.0", "ce_id": id_, "ce_source": SOURCE, "ce_type": type_, "ce_subject": execution}
    value = json.dumps(body).encode()
    encoded = tuple((name, text.encode()) for name, text in headers.items())
    return Draft(key.encode() if key is not None else None, value, encoded, like_java=like_java)


def definition(version: int) -> dict[str, Any]:
    """A published definition, as its owner would write it; versions differ in nothing else."""
    return {
        "taskId": TASK, "version": f"1.0.{version}", "status": "PUBLISHED", "type": "pyspark_operator",
        "inputVariables": [
            {"name": "url", "type": "string"},
            {"name": "width", "type": "number", "required": False, "defaultValue": 640},
        ],
        "outputVariables": [
            {"name": "bytes", "type": "number"},
            {"name": "ok", "type": "boolean", "required": False},
        ],
    }  # fmt: skip
