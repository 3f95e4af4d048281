"""Executions as rows of flat columns: those of `taskexec export`, and of the tables of the Python client."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final

from service.contracts.timestamps import epoch_ms


class Kind(Enum):
    """What a column holds; any but `TEXTS` may have no value."""

    TEXT = auto()
    TEXTS = auto()
    TIME = auto()
    """RFC 3339, in UTC with milliseconds."""
    MILLISECONDS = auto()


COLUMNS: Final = {
    "id": Kind.TEXT,
    "taskId": Kind.TEXT,
    "taskVersion": Kind.TEXT,
    "status": Kind.TEXT,
    "createdAt": Kind.TIME,
    "startedAt": Kind.TIME,
    "completedAt": Kind.TIME,
    "queueMs": Kind.MILLISECONDS,
    "runMs": Kind.MILLISECONDS,
    "createdBy": Kind.TEXT,
    "tags": Kind.TEXTS,
    "errorMessage": Kind.TEXT,
    "skipReason": Kind.TEXT,
    "sparkApplicationId": Kind.TEXT,
    "resolvedInputs": Kind.TEXT,
    "outputs": Kind.TEXT,
}
"""In order. `queueMs` is from creation to start, `runMs` from start to end; the last two are JSON texts."""

Row = tuple[Any, ...]
"""A value for each column."""

Write = Callable[[Sequence[Row]], None]
"""Writes rows, those of a page."""


def row_of(execution: Mapping[str, Any]) -> Row:
    """The row of an execution as the API shows it."""
    metadata = execution["metadata"]
    created, started, completed = metadata["createdAt"], execution.get("startedAt"), execution.get("completedAt")
    return (
        execution["id"],
        execution["taskId"],
        execution["taskVersion"],
        execution["status"],
        created,
        started,
        completed,
        _between(created, started),
        _between(started, completed),
        metadata["createdBy"],
        metadata["tags"],
        execution.get("errorMessage"),
        execution.get("skipReason"),
        metadata.get("sparkApplicationId"),
        _text(execution.get("resolvedInputs")),
        _text(execution.get("outputs")),
    )


def json_text(value: object) -> str:
    """As short as JSON can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(value: object) -> str | None:
    return None if value is None else json_text(value)


def _between(first: str | None, last: str | None) -> int | None:
    return None if first is None or last is None else _ms(last) - _ms(first)


def _ms(time: str) -> int:
    return epoch_ms(datetime.fromisoformat(time).astimezone(UTC))
