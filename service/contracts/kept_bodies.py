"""How the body of an event is kept: without what follows from the bodies before it (docs/adr/0050).

Its times are milliseconds since the execution was created. What an earlier version kept, with more fields and with
times as texts, is read as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.contracts.events import SCHEMA_VERSION
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, from_epoch_ms

NOT_KEPT: Final = frozenset({"executionId", "sequence", "schemaVersion", "commandId", "commandHash", "createdAt"})
"""The fields that are kept elsewhere, or not at all: only the write side needs them."""

CONSTANT: Final = frozenset({"taskId", "taskVersion", "createdBy", "tags"})
"""The fields that are the same in every event of an execution: the first has them."""

DROPPED: Final = "payloadsDropped"
"""What is in the body of an event whose inputs or outputs are kept no longer."""

_TIMES: Final = ("startedAt", "completedAt", "occurredAt")
_ELSEWHERE: Final = {True: dict.fromkeys(sorted(NOT_KEPT)), False: dict.fromkeys(sorted(NOT_KEPT | CONSTANT))}
"""By whether it is the first event."""

_FIRST: Final = Status.PENDING.value
_USUALLY_BEFORE: Final[dict[str, str]] = {
    Status.RUNNING: Status.PENDING.value,
    Status.SUCCESS: Status.RUNNING.value,
    Status.FAILURE: Status.RUNNING.value,
    Status.STOPPED: Status.RUNNING.value,
    Status.SKIPPED: Status.PENDING.value,
}
"""The status that an execution comes from, if the body does not say another."""


class Moments(NamedTuple):
    """The times of an event, in epoch milliseconds."""

    created: int
    started: int | None
    completed: int | None
    occurred: int


def kept_otherwise(sequence: int, status: str, previous_status: str | None, moments: Moments) -> dict[str, int | None]:
    """What to keep in place of some fields: a number, or nothing (None). All others are kept as they are.

    What has run has said before when it had started.
    """
    created, started, completed, occurred = moments
    kept = _ELSEWHERE[sequence == 1].copy()
    if sequence == 1 and status == _FIRST:
        kept["status"] = None
    if previous_status is not None and previous_status == _USUALLY_BEFORE.get(status):
        kept["previousStatus"] = None
    if started is not None:
        kept["startedAt"] = None if previous_status == Status.RUNNING else started - created
    if completed is not None:
        kept["completedAt"] = completed - created
    newest = completed if completed is not None else started if started is not None else created
    kept["occurredAt"] = None if occurred == newest else occurred - created
    return kept


def put_together(kept: Iterable[Mapping[str, Any]], created_ms: int) -> dict[str, Any]:
    """What is known of an execution from the bodies of all its events, in order: what a later one says is newer.

    Its times are `Timestamp`s.
    """
    known: dict[str, Any] = {"status": _FIRST}
    for body in kept:
        known |= body
    return known | _times(known, created_ms)


def told_again(
    kept: Iterable[tuple[int, Mapping[str, Any]]], execution_id: str, created_ms: int
) -> Iterator[dict[str, Any]]:
    """The bodies of all events of an execution as today's version writes them, but for what is not kept.

    `kept`: in order, each with the event's sequence.
    """
    constant: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for sequence, body in kept:
        constant = constant or {name: body[name] for name in CONSTANT}
        told: dict[str, Any] = {"schemaVersion": SCHEMA_VERSION, "executionId": execution_id, "sequence": sequence}
        told |= {"status": _FIRST, **constant, **body}
        if before:
            told.setdefault("previousStatus", _USUALLY_BEFORE.get(told["status"], before["status"]))
        if "startedAt" in before and told["previousStatus"] == Status.RUNNING:
            told.setdefault("startedAt", before["startedAt"])
        told |= {name: str(at) for name, at in _times(told, created_ms).items()}
        # The newest of the times, where the event had said no more.
        told.setdefault("occurredAt", told.get("completedAt") or told.get("startedAt") or told["createdAt"])
        yield told
        before = told


def _times(body: Mapping[str, Any], created_ms: int) -> dict[str, Timestamp]:
    """Those of a body; earlier versions kept texts."""
    found = {"createdAt": from_epoch_ms(created_ms)}
    for name in _TIMES:
        if (at := body.get(name)) is not None:
            found[name] = from_epoch_ms(created_ms + at) if isinstance(at, int) else Timestamp.parse(at)
    return found
