"""Reads listed executions with their payloads, piece by piece: the largest page could hold gigabytes."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from service.contracts.events import read_event
from service.contracts.executions import TaskExecution
from service.domain.view import view
from service.read_model.clickhouse.driver import Row

MAX_PAGE_BYTES: Final = 16 << 20
"""So much of payloads, as text, is in one page; the executions after that are listed without."""

_FIRST: Final = 20
_EVENTS_OF_MANY: Final = (
    "SELECT executionId, sequence, type, payload FROM task_execution_events "
    "WHERE executionId IN {ids:Array(UUID)} ORDER BY executionId, sequence LIMIT 1 BY executionId, sequence"
)

Query = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[Row]]]


async def whole(listed: Sequence[Row], query: Query) -> list[TaskExecution]:
    """The listed executions (executionId, sequence), in order, each no further than it had come when it was listed."""
    executions: list[TaskExecution] = []
    size, count = 0, _FIRST
    while len(executions) < len(listed):
        piece = listed[len(executions) : len(executions) + count]
        rows = await query(_EVENTS_OF_MANY, {"ids": [str(row["executionId"]) for row in piece]})
        read = sum(len(row["payload"]) for row in rows)
        # In a thread: to decode a megabyte of small values takes a tenth of a second.
        executions += await asyncio.to_thread(_fold_all, piece, rows, MAX_PAGE_BYTES - size)
        size += read
        count = max(1, MAX_PAGE_BYTES * len(piece) // max(read, 1))
    return executions


def _fold_all(piece: Sequence[Row], rows: Sequence[Row], left: int) -> list[TaskExecution]:
    reached = {row["executionId"]: row["sequence"] for row in piece}
    events: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        if row["sequence"] <= reached[row["executionId"]]:
            events[row["executionId"]].append(row)
    executions: list[TaskExecution] = []
    for id_ in reached:
        execution = fold(events[id_])
        left -= sum(len(row["payload"]) for row in events[id_])
        if left < 0:
            execution = execution.model_copy(update={"resolved_inputs": None, "outputs": None})
        executions.append(execution)
    return executions


def fold(rows: Sequence[Row]) -> TaskExecution:
    """The execution that these events (type, payload) make."""
    return view([read_event(row["type"], row["payload"].encode()) for row in rows])
