"""One command record in, one answer out, in memory: nothing is written here (see `transaction`)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from msgspec import Struct

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import ExecuteTask
from service.contracts.envelope import CORRELATION_ID, REPLY_TO, Envelope, read_envelope
from service.contracts.events import Event, encode_event
from service.contracts.problems import Code, Problem, RejectedError, problem, reject
from service.contracts.timestamps import Timestamp
from service.contracts.topics import MAX_COMMAND_BYTES, MAX_RECORD_BYTES, REPLY_TOPIC
from service.domain.execution import Execution, Request, decide, evolve
from service.domain.identity import command_hash, command_id, placed_id
from service.domain.parsing import DefinitionOf, parse_command
from service.kafka.murmur2 import partition_of
from service.kafka.records import CutValue, Record


class ReplyAddress(Struct, frozen=True):
    """Where the asker wants the reply: a topic, and the correlation id as it came."""

    topic: str
    correlation_id: bytes | None


class Accepted(Struct, frozen=True):
    """The command made something happen: `event`, `value` its JSON, and `state` after it."""

    outcome: ClassVar = "accepted"
    record: Record
    reply_to: ReplyAddress | None
    envelope: Envelope
    event: Event
    value: bytes
    state: Execution


class Repeated(Struct, frozen=True):
    """The command says what is already so."""

    outcome: ClassVar = "duplicate"
    record: Record
    reply_to: ReplyAddress | None
    request: Request
    state: Execution


class Refused(Struct, frozen=True):
    """The command is not valid, or not possible now."""

    outcome: ClassVar = "rejected"
    record: Record
    reply_to: ReplyAddress | None
    problem: Problem


class Misplaced(Struct, frozen=True):
    """The execution belongs to another partition: the record is passed on to it as it is."""

    outcome: ClassVar = "forwarded"
    record: Record
    owner: int


_HEADER_OVERHEAD: Final = 4  # on the wire, the lengths of a name and a value: up to two bytes each
MAX_EVENT_BYTES: Final = MAX_RECORD_BYTES - 65_536
"""The largest body of an event; its headers, made from attributes of limited length, have room beside it."""

Answer = Accepted | Repeated | Refused | Misplaced


@dataclass(frozen=True, slots=True)
class Desk:
    """What answering needs to know, beside the states of the executions.

    `reply_flaw` says why a reply topic cannot be written, or None if it can.
    """

    partition: int
    partitions: int
    definition_of: DefinitionOf
    reply_flaw: Callable[[str], str | None]

    def answer(self, record: Record, state_of: Callable[[str], Execution | None], at: Timestamp) -> Answer:
        """Read, check and decide one command; never raises for anything that a client can send."""
        reply_to = None
        try:
            size, reply_topic, correlation_id = _transport(record)
            reply_to = self._reply_address(reply_topic, correlation_id) if reply_topic else None
            if isinstance(record.value, CutValue):
                detail = f"{record.value.flaw} A command may have {MAX_COMMAND_BYTES} bytes, headers included."
                raise reject(Code.PAYLOAD_TOO_LARGE, detail)
            if size > MAX_COMMAND_BYTES:
                detail = f"The command has {size} bytes, headers included; at most {MAX_COMMAND_BYTES} are allowed."
                raise reject(Code.PAYLOAD_TOO_LARGE, detail)
            envelope = read_envelope(record)
            command = parse_command(envelope, self.definition_of)
            identity = self._identity(envelope, is_new=isinstance(command, ExecuteTask))
            execution_id = identity if isinstance(command, ExecuteTask) else command.execution_id
            state = state_of(execution_id)
            if state is None and (owner := self._owner(execution_id)) != self.partition:
                return Misplaced(record, owner)
            task = command if isinstance(command, ExecuteTask) else state
            definition = self.definition_of(task.task_id, task.task_version) if task else None
            request = Request(command, identity, command_hash(envelope.type, envelope.data), envelope.source, at)
            events = decide(state, request, definition)
            if state is not None and not events:
                return Repeated(record, reply_to, request, state)
            (event,) = events
            return Accepted(record, reply_to, envelope, event, _encode(event), evolve(state, event))
        except RejectedError as error:
            return Refused(record, reply_to, error.problem)

    def _identity(self, envelope: Envelope, *, is_new: bool) -> str:
        if not envelope.placed:
            return command_id(envelope.source, envelope.id)
        return placed_id(envelope.id, lambda id_: not is_new or self._owner(id_) == self.partition)

    def _owner(self, execution_id: str) -> int:
        return partition_of(execution_id.encode(), self.partitions)

    def set_aside(self, record: Record, *, bare: bool) -> Refused:
        """Refuse a command that the service itself fails on; `bare`, without all but its value, and unreplied."""
        detail = (
            "The service failed on this command again and again: it was set aside, and not carried out. Tell the "
            "service's operators; this record is kept with the rejection."
        )
        if bare:
            record = replace(record, key=None, headers=(), timestamp=0)
        reply_to = None
        with suppress(RejectedError):
            _, topic, correlation_id = _transport(record)
            reply_to = self._reply_address(topic, correlation_id) if topic else None
        return Refused(record, reply_to, problem(Code.INTERNAL_ERROR, detail))

    def _reply_address(self, topic: bytes, correlation_id: bytes | None) -> ReplyAddress:
        name = topic.decode(errors="replace")
        flaw = "it is not a reply topic" if REPLY_TOPIC.fullmatch(name) is None else self.reply_flaw(name)
        if flaw:
            raise reject(
                Code.INVALID_REPLY_TO,
                f"No reply can be sent to {name!r}: {flaw}. Use task-execution.replies or an existing topic "
                "task-execution.replies.<name>.",
            )
        if correlation_id is not None and len(correlation_id) > MAX_ATTRIBUTE:
            # The broker would refuse the reply, and with it the replies to everybody else.
            detail = f"The correlation_id has {len(correlation_id)} bytes; at most {MAX_ATTRIBUTE} are allowed."
            raise reject(Code.INVALID_REPLY_TO, detail)
        return ReplyAddress(name, correlation_id)


def _encode(event: Event) -> bytes:
    """The event as JSON; one that the broker would not take is the command's fault, not the transaction's."""
    value = encode_event(event)
    if len(value) > MAX_EVENT_BYTES:
        raise reject(
            Code.PAYLOAD_TOO_LARGE,
            f"With the definition's defaults filled in, {type(event).__name__} has {len(value)} bytes; at most "
            f"{MAX_EVENT_BYTES} are allowed. Send less, or name large data by a file.",
        )
    return value


def _transport(record: Record) -> tuple[int, bytes | None, bytes | None]:
    """The size of the record in bytes, and its reply topic and correlation id."""
    size = len(record.value or b"") + len(record.key or b"")
    topic = correlation_id = None
    for name, value in record.headers:
        size += len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD
        if name == REPLY_TO:
            topic = value
        elif name == CORRELATION_ID:
            correlation_id = value
    return size, topic, correlation_id
