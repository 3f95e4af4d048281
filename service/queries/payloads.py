"""Reads listed executions whole, piece by piece: the largest page could hold gigabytes."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.contracts.codec import decode
from service.contracts.events import PAYLOADS
from service.contracts.executions import Metadata, TaskExecution
from service.contracts.kept_bodies import DROPPED, put_together, told_again
from service.contracts.timestamps import Timestamp
from service.ports.read_model import ListedExecution, ReadModel, StoredBody, StoredEvent, StoredPayload

MAX_PAGE_BYTES: Final = 16 << 20
"""So much of payloads, as text, is in one page; the executions after that are listed without."""

_FIRST: Final = 20
_FIELDS: Final = [
    (name, field.alias or name) for name, field in TaskExecution.model_fields.items() if name not in {"id", "metadata"}
]


async def whole(listed: Sequence[ListedExecution], read_model: ReadModel) -> list[TaskExecution]:
    """The listed executions, in order, as they are now.

    One whose retention has ended since is left out; and one whose first event is not there, which tells what it is.
    """
    executions: list[TaskExecution] = []
    first, size, count = 0, 0, _FIRST
    kept_since = read_model.payloads_kept_since()
    while piece := listed[first : first + count]:
        events = await read_model.payloads([one.execution_id for one in piece])
        read = sum(len(event.payload) for event in events)
        # In a thread: to decode a megabyte of small values takes a tenth of a second.
        executions += await asyncio.to_thread(_fold_all, piece, events, MAX_PAGE_BYTES - size, kept_since)
        first += len(piece)
        size += read
        count = max(1, MAX_PAGE_BYTES * len(piece) // max(read, 1))
    return executions


def _fold_all(
    piece: Sequence[ListedExecution], stored: Sequence[StoredPayload], left: int, kept_since: Timestamp | None
) -> list[TaskExecution]:
    events: dict[str, list[StoredPayload]] = defaultdict(list)
    for event in stored:
        events[event.execution_id].append(event)
    executions: list[TaskExecution] = []
    for id_, created_ms, _ in piece:
        if not has_begun(events[id_]):
            continue
        execution = fold(events[id_], created_ms, kept_since)
        left -= sum(len(event.payload) for event in events[id_])
        if left < 0:
            execution = execution.model_copy(update={"resolved_inputs": None, "outputs": None})
        executions.append(execution)
    return executions


def has_begun(events: Sequence[StoredPayload | StoredBody | StoredEvent]) -> bool:
    """Whether the first event is there: without it, nobody knows what the others are about."""
    return bool(events) and events[0].sequence == 1


def fold(
    events: Sequence[StoredPayload | StoredBody], created_ms: int, kept_since: Timestamp | None = None
) -> TaskExecution:
    """The execution that these events make: what is in a later one is newer, the rest is as it was.

    It is without payloads if it ended before `kept_since`, or if any of them was dropped: never with half of them.
    """
    known = put_together((decode(event.payload.encode()) for event in events), created_ms)
    if _dropped(known, kept_since):
        known = {name: value for name, value in known.items() if name not in PAYLOADS} | {DROPPED: True}
    return execution_of(events[0].execution_id, known)


def execution_of(execution_id: str, known: Mapping[str, Any]) -> TaskExecution:
    """The execution that the bodies of all its events, put over each other in order, tell of."""
    metadata = Metadata(
        created_at=known["createdAt"],
        created_by=known["createdBy"],
        spark_application_id=known.get("sparkApplicationId"),
        tags=known["tags"],
    )
    return TaskExecution(
        id=execution_id, metadata=metadata, **{name: known[key] for name, key in _FIELDS if key in known}
    )


def _dropped(known: Mapping[str, Any], kept_since: Timestamp | None) -> bool:
    if DROPPED in known or kept_since is None or "completedAt" not in known:
        return DROPPED in known
    at = known["completedAt"]
    return (at if isinstance(at, Timestamp) else Timestamp.parse(at)) < kept_since


def bodies(events: Sequence[StoredEvent], kept_since: Timestamp | None) -> tuple[list[dict[str, Any]], bool]:
    """The bodies of all events of an execution, as today's version writes them, but for what is not kept.

    And whether that are the payloads, see `fold`.
    """
    kept = ((event.sequence, decode(event.payload.encode())) for event in events)
    found = [*told_again(kept, events[0].execution_id, events[0].created_ms)]
    if dropped := any(_dropped(body, kept_since) for body in found):
        found = [{name: value for name, value in body.items() if name not in {*PAYLOADS, DROPPED}} for body in found]
    return found, dropped
