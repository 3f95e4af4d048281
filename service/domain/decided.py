"""What is asked of an execution, and what is decided."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from service.contracts.events import Event, encode_event
from service.contracts.internal import AnyCommand
from service.contracts.problems import Code, reject
from service.contracts.timestamps import Timestamp
from service.contracts.topics import MAX_RECORD_BYTES
from service.domain.execution import Execution, Expected, Remembered
from service.domain.timers import Timer

MAX_EVENT_BYTES: Final = MAX_RECORD_BYTES - 65_536
"""The largest body of an event; its headers, made from attributes of limited length, have room beside it."""


class Request(Struct, frozen=True, gc=False):
    """A command with what comes as data: its identity (`command_id`), its payload's hash, who sent it, the time now.

    `whole_hash` is of the payload with its sensitive values, where `command_hash` is without: an earlier version
    remembered it. It is compared, and never written.
    """

    command: AnyCommand
    command_id: str
    command_hash: str
    source: str
    at: Timestamp
    whole_hash: str | None = None


class Edge(Struct, frozen=True, gc=False):
    """`downstream` waits for `upstream` to be SUCCESS, and for its output of this name, if there is one, to be true."""

    upstream: str
    downstream: str
    condition: str | None = None


class Decision(Struct, frozen=True, gc=False):
    """What is to happen, all of it or nothing.

    `events` happen to the execution, in order, and `state` is what is known then; None if nothing changes. `commands`
    are then sent, to any execution. `timers` are those of the execution from now on, instead of the ones it had.
    `waiting` are edges to remember, `told` edges to forget. `repeats` says that nothing happens, for an equal command
    was accepted before; `forgets`, that the execution is remembered no more.
    """

    events: Sequence[Event] = ()
    state: Execution | Expected | None = None
    commands: Sequence[AnyCommand] = ()
    timers: Sequence[Timer] = ()
    waiting: Sequence[Edge] = ()
    told: Sequence[Edge] = ()
    repeats: Remembered | None = None
    forgets: bool = False


NOTHING: Final = Decision()


def encoded(decision: Decision) -> tuple[bytes, ...]:
    """The bodies of the events.

    Raises:
        RejectedError: one is too large.
    """
    return tuple(map(_encode, decision.events))


def _encode(event: Event) -> bytes:
    """The event as JSON; one that the broker would not take is the command's fault, not the transaction's."""
    body = encode_event(event)
    if len(body) > MAX_EVENT_BYTES:
        raise reject(
            Code.PAYLOAD_TOO_LARGE,
            f"With the definition's defaults filled in, {type(event).__name__} has {len(body)} bytes; at most "
            f"{MAX_EVENT_BYTES} are allowed. Send less, or name large data by a file.",
        )
    return body
