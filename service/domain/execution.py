"""TaskExecution, the aggregate, as the write side remembers it: what events and decisions make of it."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from service.contracts.events import Event, TaskExecutionEvent, TaskExecutionProgressed
from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.identity import id_bytes
from service.domain.terms import NONE, Terms, terms_after

MAX_REMEMBERED: Final = 16
"""How many commands an execution remembers: the one that made it, and the newest others."""


class Remembered(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A command that was accepted, by the bytes of its id and hash, with the sequence and status that it led to."""

    command_id: bytes
    command_hash: bytes
    sequence: int
    status: Status


class Execution(Struct, frozen=True, gc=False):
    """What the write side remembers of an execution: no payloads, but for inputs that may be needed again.

    `occurred_at` is when it last changed; `commands` are those that were accepted, in order; `sensitive` are the
    variables that its definition marked when it was created.
    """

    execution_id: str
    sequence: int
    status: Status
    task_id: str
    task_version: str
    created_by: str
    created_at: Timestamp
    tags: tuple[str, ...]
    occurred_at: Timestamp
    started_at: Timestamp | None
    completed_at: Timestamp | None
    spark_application_id: str | None
    commands: tuple[Remembered, ...]
    sensitive: Sensitive | None = None
    terms: Terms = NONE


class Expected(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Not created yet, but others wait for it already: `behind` are some of them, and of those that wait for them."""

    behind: tuple[str, ...] = ()


def evolve(state: Execution | None, event: TaskExecutionEvent) -> Execution:
    """The state after the event. Every event repeats the small fields, so only commands and terms accumulate."""
    command = Remembered(id_bytes(event.command_id), bytes.fromhex(event.command_hash), event.sequence, event.status)
    return Execution(
        execution_id=event.execution_id,
        sequence=event.sequence,
        status=event.status,
        task_id=event.task_id,
        task_version=event.task_version,
        created_by=event.created_by,
        created_at=event.created_at,
        tags=event.tags,
        occurred_at=event.occurred_at,
        started_at=event.started_at,
        completed_at=event.completed_at,
        spark_application_id=event.spark_application_id,
        commands=_remember(state.commands, command, event) if state else (command,),
        sensitive=state.sensitive if state else getattr(event, "sensitive", None),
        terms=terms_after(state.terms if state else NONE, event),
    )


def folded(state: Execution | None, events: Iterable[Event]) -> Execution | None:
    """The state after all of these events."""
    for event in events:
        state = evolve(state, event)
    return state


def as_told(state: Execution, command: Remembered) -> Execution:
    """The execution as the asker of this command was told it: what came to it later is left out.

    But for the Spark application: it belongs to the run from its start, whenever it is told of.
    """
    told = replace(state, sequence=command.sequence, status=command.status)
    if command.status is Status.PENDING:
        return replace(told, started_at=None, completed_at=None, spark_application_id=None)
    return told if command.status.is_final else replace(told, completed_at=None)


def _remember(known: tuple[Remembered, ...], command: Remembered, event: TaskExecutionEvent) -> tuple[Remembered, ...]:
    if type(event) is TaskExecutionProgressed:  # they come in any number, and to repeat one does no harm
        return known
    if known[-1].command_id == command.command_id:  # one command, several events
        return (*known[:-1], command)
    if len(known) == MAX_REMEMBERED:
        known = (known[0], *known[2:])
    return (*known, command)
