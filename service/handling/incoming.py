"""Stage 1, read: what a record says. Pure: nothing is looked up, and nothing is decided."""

from contextlib import suppress
from dataclasses import dataclass
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.codec import sorted_json
from service.contracts.commands import ExecuteTask
from service.contracts.envelope import CORRELATION_ID, HEADER_OVERHEAD, REPLY_TO, Envelope, read_envelope
from service.contracts.internal import AnyCommand
from service.contracts.problems import Code, Problem, RejectedError, problem, reject
from service.contracts.topics import MAX_COMMAND_BYTES, REPLIES_TOPIC, REPLY_TOPIC
from service.domain.identity import command_id, payload_hash, placed_id
from service.domain.parsing import UnfitExecuteTaskError, parse_command
from service.handling.layouts import glance
from service.kafka.murmur2 import partition_of
from service.kafka.records import CutValue, Record


class ReplyAddress(Struct, frozen=True, gc=False):
    """Where the asker wants the reply: a topic, which may not exist, and the correlation id as it came."""

    topic: str
    correlation_id: bytes | None


@final
class Readable(Struct, frozen=True, gc=False):
    """A command, its identity and hash, and the execution that it is about."""

    record: Record
    reply_to: ReplyAddress | None
    envelope: Envelope
    command: AnyCommand
    command_id: str
    command_hash: str
    execution_id: str


@final
class Unreadable(Struct, frozen=True, gc=False):
    """No valid command. `rest` is what can be read of an ExecuteTask: its definition may have more to say of it."""

    record: Record
    reply_to: ReplyAddress | None
    problem: Problem
    rest: ExecuteTask | None = None


Incoming = Readable | Unreadable


@dataclass(frozen=True, slots=True)
class CommandReader:
    """Reads the records of one command partition, of so many; `prefix` is that of our topics."""

    partition: int
    partitions: int
    prefix: str = ""

    def read(self, record: Record) -> Incoming:
        """What the record says; never raises for anything that a client can send."""
        reply_to = None
        try:
            seen = glance(record)
            if seen is not None:
                reply_to = _reply_address(seen.reply_topic, seen.correlation_id, self.prefix)
                envelope, payload = seen.envelope, seen.payload
            else:
                size, topic, correlation_id = _transport(record)
                reply_to = _reply_address(topic, correlation_id, self.prefix)
                _check_size(record, size)
                envelope = read_envelope(record)
                payload = sorted_json(envelope.data)
            command = parse_command(envelope)
        except UnfitExecuteTaskError as error:
            return Unreadable(record, reply_to, error.problem, error.rest)
        except RejectedError as error:
            return Unreadable(record, reply_to, error.problem)
        is_new = type(command) is ExecuteTask
        if envelope.placed:
            identity = self._placed_id(envelope, is_new=is_new)
        else:
            identity = command_id(envelope.source, envelope.id)
        execution_id = identity if type(command) is ExecuteTask else command.execution_id
        content = payload_hash(envelope.type, payload)
        return Readable(record, reply_to, envelope, command, identity, content, execution_id)

    def _placed_id(self, envelope: Envelope, *, is_new: bool) -> str:
        return placed_id(
            envelope.id, lambda id_: not is_new or partition_of(id_.encode(), self.partitions) == self.partition
        )


def set_aside(record: Record, prefix: str = "", *, bare: bool) -> Unreadable:
    """A command that the service itself fails on, unread; `bare`: without all but its value, and unreplied."""
    detail = (
        "The service failed on this command again and again: it was set aside, and not carried out. Tell the "
        "service's operators; this record is kept with the rejection."
    )
    if bare:
        record = replace(record, key=None, headers=(), timestamp=0)
    reply_to = None
    with suppress(RejectedError):
        _, topic, correlation_id = _transport(record)
        reply_to = _reply_address(topic, correlation_id, prefix)
    return Unreadable(record, reply_to, problem(Code.INTERNAL_ERROR, detail))


def invalid_topic(name: str, flaw: str, prefix: str) -> RejectedError:
    """The refusal of a command whose reply topic cannot be written."""
    ours = prefix + REPLIES_TOPIC
    return reject(
        Code.INVALID_REPLY_TO,
        f"No reply can be sent to {name!r}: {flaw}. Use {ours} or an existing topic {ours}.<name>.",
    )


def _check_size(record: Record, size: int) -> None:
    if isinstance(record.value, CutValue):
        detail = f"{record.value.flaw} A command may have {MAX_COMMAND_BYTES} bytes, headers included."
        raise reject(Code.PAYLOAD_TOO_LARGE, detail)
    if size > MAX_COMMAND_BYTES:
        detail = f"The command has {size} bytes, headers included; at most {MAX_COMMAND_BYTES} are allowed."
        raise reject(Code.PAYLOAD_TOO_LARGE, detail)


def _reply_address(topic: bytes | None, correlation_id: bytes | None, prefix: str) -> ReplyAddress | None:
    if not topic:
        return None
    name = topic.decode(errors="replace")
    if not (name.startswith(prefix) and REPLY_TOPIC.fullmatch(name, len(prefix))):
        raise invalid_topic(name, "it is not a reply topic", prefix)
    if correlation_id is not None and len(correlation_id) > MAX_ATTRIBUTE:
        # The broker would refuse the reply, and with it the replies to everybody else.
        detail = f"The correlation_id has {len(correlation_id)} bytes; at most {MAX_ATTRIBUTE} are allowed."
        raise reject(Code.INVALID_REPLY_TO, detail)
    return ReplyAddress(name, correlation_id)


def _transport(record: Record) -> tuple[int, bytes | None, bytes | None]:
    """The size of the record in bytes, and its reply topic and correlation id."""
    size = len(record.value or b"") + len(record.key or b"")
    topic = correlation_id = None
    for name, value in record.headers:
        size += len(name.encode()) + len(value or b"") + HEADER_OVERHEAD
        if name == REPLY_TO:
            topic = value
        elif name == CORRELATION_ID:
            correlation_id = value
    return size, topic, correlation_id
