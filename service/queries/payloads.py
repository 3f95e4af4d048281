"""Reads listed executions with their payloads, piece by piece: the largest page could hold gigabytes."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from service.contracts.events import read_event
from service.contracts.executions import TaskExecution
from service.domain.view import view
from service.ports.read_model import ListedExecution, ReadModel, StoredEvent

MAX_PAGE_BYTES: Final = 16 << 20
"""So much of payloads, as text, is in one page; the executions after that are listed without."""

_FIRST: Final = 20


async def whole(listed: Sequence[ListedExecution], read_model: ReadModel) -> list[TaskExecution]:
    """The listed executions, in order, each no further than it had come when it was listed.

    One whose retention has ended since is left out.
    """
    executions: list[TaskExecution] = []
    first, size, count = 0, 0, _FIRST
    while piece := listed[first : first + count]:
        events = await read_model.events([one.execution_id for one in piece])
        read = sum(len(event.payload) for event in events)
        # In a thread: to decode a megabyte of small values takes a tenth of a second.
        executions += await asyncio.to_thread(_fold_all, piece, events, MAX_PAGE_BYTES - size)
        first += len(piece)
        size += read
        count = max(1, MAX_PAGE_BYTES * len(piece) // max(read, 1))
    return executions


def _fold_all(piece: Sequence[ListedExecution], stored: Sequence[StoredEvent], left: int) -> list[TaskExecution]:
    reached = {one.execution_id: one.sequence for one in piece}
    events: dict[str, list[StoredEvent]] = defaultdict(list)
    for event in stored:
        if event.sequence <= reached[event.execution_id]:
            events[event.execution_id].append(event)
    executions: list[TaskExecution] = []
    for id_ in filter(events.get, reached):
        execution = fold(events[id_])
        left -= sum(len(event.payload) for event in events[id_])
        if left < 0:
            execution = execution.model_copy(update={"resolved_inputs": None, "outputs": None})
        executions.append(execution)
    return executions


def fold(events: Sequence[StoredEvent]) -> TaskExecution:
    """The execution that these events make."""
    return view([read_event(event.type, event.payload.encode()) for event in events])
