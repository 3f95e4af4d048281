"""What the events say. Few of their fields are looked at: every event passes here."""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw, Struct

from service.contracts.envelope import Record
from service.contracts.events import (
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionReady,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
)
from service.contracts.status import Status
from service.contracts.timestamps import parsed_ms
from service.dispatch.board import Board, Ready
from service.dispatch.ends import Ends
from service.dispatch.peers import Peers


class _Created(Struct, rename="camel", gc=False):
    execution_id: str
    task_id: str
    task_version: str
    created_at: str
    depends_on: Raw = Raw()
    not_before: Raw = Raw()


_decoder: Final = msgspec.json.Decoder(_Created)
_CREATED: Final = TaskExecutionCreated.__name__.encode()
_READY: Final = TaskExecutionReady.__name__.encode()
_STARTED: Final = TaskExecutionStarted.__name__.encode()
_ENDS: Final = {
    kind.__name__.encode(): status
    for kind, status in (
        (TaskExecutionSucceeded, Status.SUCCESS),
        (TaskExecutionFailed, Status.FAILURE),
        (TaskExecutionStopped, Status.STOPPED),
        (TaskExecutionSkipped, Status.SKIPPED),
    )
}


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of what happens: what can start, who else gives work away, and what has ended."""

    board: Board
    peers: Peers
    ends: Ends

    def note(self, record: Record, now: float) -> None:
        """Take in an event. One that cannot be read says nothing here: it stops the projection, which tells."""
        headers = dict(record.headers)
        kind = headers.get("ce_type")
        if kind == _STARTED:
            self.peers.saw(_text(headers.get("ce_causationid")), now)
            self.board.remove(_text(headers.get("ce_subject")))
        elif (status := _ENDS.get(kind or b"")) is not None:
            self.board.remove(_text(headers.get("ce_subject")))
            self.ends.add(_text(headers.get("ce_subject")), status)
        elif kind in {_CREATED, _READY}:
            try:
                event = _decoder.decode(record.value or b"")
                created_ms = parsed_ms(event.created_at)
            except ValueError:
                return
            if kind == _READY:
                self.board.add(Ready(event.execution_id, event.task_id, event.task_version, created_ms))
            elif not (event.depends_on or event.not_before):
                self.board.add(Ready(event.execution_id, event.task_id, event.task_version, created_ms, record.value))


def _text(header: bytes | None) -> str:
    return (header or b"").decode(errors="replace")
