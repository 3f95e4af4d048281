"""What one transaction writes, made from its answers: records by topic and partition, nothing sent yet."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import assert_never

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.codec import encode
from service.contracts.commands import ExecuteTask, FailTaskExecution, SkipTaskExecution, SucceedTaskExecution
from service.contracts.envelope import TRACE_HEADERS, Headers, envelope_headers
from service.contracts.executions import TaskExecution
from service.contracts.problems import RejectedError
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalHeader, OriginalRecord
from service.contracts.replies import REPLY_TYPE, CommandReply, Outcome, Position
from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, MAX_COMMAND_BYTES, REJECTIONS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution, Request, as_of, repeated_sequence, resolve_inputs
from service.domain.parsing import DefinitionOf
from service.domain.view import describe, view
from service.handling.answering import Accepted, Answer, Misplaced, Refused, Repeated
from service.handling.batches import Batches, Outgoing
from service.handling.snapshots import POSITION_KEY, encode_snapshot
from service.kafka.records import CutValue, Record

_HEAD_BYTES = 4096
_MAX_HEADERS, _MAX_NAME = 100, 256
_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, and of RFC 3339; a record may name any 64-bit number as its time."""

MAX_REPLY_BYTES = 900_000
"""A reply that would be larger goes without its payloads: a client's topic has the broker's default limit."""


class Outbox:
    """The records of one transaction, and the replies, which come second: they name the offsets that the events got."""

    def __init__(self, partition: int, batches: Batches) -> None:
        self.partition, self.batches = partition, batches
        self.outcomes: Counter[str] = Counter()
        self.replies: list[tuple[Accepted | Repeated | Refused, int | None]] = []
        """What is to be replied to; beside an accepted command, how many events of the transaction precede its own."""

    def add(self, answers: Iterable[Answer], at: Timestamp) -> None:
        """Take in everything but the states."""
        for answer in answers:
            place = None
            match answer:
                case Accepted():
                    place = self.outcomes[Accepted.outcome]
                    self.batches.put(EVENTS_TOPIC, self.partition, event_record(answer))
                case Refused():
                    self.batches.put(REJECTIONS_TOPIC, self.partition, rejection_record(answer, at))
                case Misplaced():
                    self.batches.put(COMMANDS_TOPIC, answer.owner, forwarded_record(answer.record))
                case Repeated():
                    pass
                case _:
                    assert_never(answer)
            self.outcomes[answer.outcome] += 1
            if not isinstance(answer, Misplaced) and answer.reply_to:
                self.replies.append((answer, place))

    def add_states(self, states: Iterable[Execution], forgotten: Iterable[str], at: Timestamp) -> None:
        """The newest snapshot of every execution that changed, and a tombstone for every one to forget."""
        now = epoch_ms(at)
        for state in states:
            self._put_state(state.execution_id.encode(), encode_snapshot(state), now)
        for execution_id in forgotten:
            self._put_state(execution_id.encode(), None, now)

    def add_position(self, next_offset: int, at: Timestamp) -> None:
        """The next command's offset, beside the states: what an opening compares the group's with."""
        self._put_state(POSITION_KEY, b"%d" % next_offset, epoch_ms(at))

    def _put_state(self, key: bytes, value: bytes | None, now: int) -> None:
        self.batches.put(STATE_TOPIC, self.partition, Outgoing(key, value, [], now))


def event_record(answer: Accepted) -> Outgoing:
    """The event, keyed by executionId; `ce_id` is `<executionId>/<sequence>`."""
    event, cause = answer.event, answer.envelope
    id_ = f"{event.execution_id}/{event.sequence}"
    headers = envelope_headers(type(event).__name__, id_, event.execution_id, event.at, trace=cause.trace)
    headers += [("ce_causationid", cause.id.encode()), ("ce_causationsource", cause.source.encode())]
    return Outgoing(event.execution_id.encode(), answer.value, headers, epoch_ms(event.at))


def forwarded_record(record: Record) -> Outgoing:
    """The record as its client wrote it, for another partition."""
    return Outgoing(record.key, record.value, list(record.headers), record.timestamp)


def rejection_record(answer: Refused, at: Timestamp) -> Outgoing:
    """The problem with the original record, which is thereby not lost."""
    record = answer.record
    id_ = f"{record.topic}/{record.partition}/{record.offset}"
    headers = envelope_headers(REJECTION_TYPE, id_, id_, at, trace=_trace(record))
    body = CommandRejected(problem=answer.problem, record=_original(record))
    return Outgoing(record.key[:_HEAD_BYTES] if record.key else None, _json(body), headers, epoch_ms(at))


def reply_record(
    answer: Accepted | Repeated | Refused, position: Position, definition_of: DefinitionOf, at: Timestamp
) -> Outgoing:
    """The answer for the asker; `position` is where its event stands, or one that is not before it."""
    match answer:
        case Accepted():
            reply = CommandReply(outcome=Outcome.ACCEPTED, task_execution=view([answer.event]), position=position)
        case Repeated():
            execution = _told_before(answer.state, answer.request, definition_of)
            reply = CommandReply(outcome=Outcome.DUPLICATE, task_execution=execution, position=position)
        case Refused():
            reply = CommandReply(outcome=Outcome.REJECTED, problem=answer.problem)
        case _:
            assert_never(answer)
    record, value = answer.record, _json(reply)
    if len(value) > MAX_REPLY_BYTES:
        value = _json(_without_payloads(reply))
    id_ = f"{record.topic}/{record.partition}/{record.offset}/reply"
    subject = reply.task_execution.id if reply.task_execution else id_
    headers = envelope_headers(REPLY_TYPE, id_, subject, at, trace=_trace(record))
    correlation_id = answer.reply_to.correlation_id if answer.reply_to else None
    if correlation_id is not None:
        headers.append(("correlation_id", correlation_id))
    return Outgoing(correlation_id, value, headers, epoch_ms(at))


@lru_cache(maxsize=256)  # all events of a batch have one time
def epoch_ms(at: Timestamp) -> int:
    """An aware time in epoch milliseconds."""
    return round(at.timestamp() * 1000)


def _told_before(state: Execution, request: Request, definition_of: DefinitionOf) -> TaskExecution:
    """What the first asker was told: the payloads come from the duplicate itself, which is equal."""
    then = as_of(state, repeated_sequence(state, request) or state.sequence)
    match request.command:
        case ExecuteTask() as command:
            return describe(then, resolved_inputs=_resolved_again(command, definition_of))
        case SucceedTaskExecution() as command:
            return describe(then, outputs=command.outputs)
        case FailTaskExecution() as command:
            return describe(then, error_message=command.error_message)
        case SkipTaskExecution() as command:
            return describe(then, skip_reason=f"{command.reason}: {command.node}")
        case _:
            return describe(then)


def _resolved_again(command: ExecuteTask, definition_of: DefinitionOf) -> dict[str, object]:
    try:
        return resolve_inputs(command, definition_of(command.task_id, command.task_version))
    except RejectedError:  # the definition was withdrawn since, or replaced: a duplicate must not stop the partition
        return command.inputs


def _without_payloads(reply: CommandReply) -> CommandReply:
    execution = reply.task_execution
    if execution is not None:
        execution = execution.model_copy(update={"resolved_inputs": None, "outputs": None})
    problem = reply.problem
    if problem is not None:
        problem = problem.model_copy(update={"errors": ()})
    return reply.model_copy(update={"task_execution": execution, "problem": problem})


def _original(record: Record) -> OriginalRecord:
    value = b"" if record.value is None else record.value
    size, digest = (value.size, value.sha256) if isinstance(value, CutValue) else (len(value), None)
    unread = isinstance(value, CutValue) and digest is None
    whole = size == len(value) <= MAX_COMMAND_BYTES and not unread
    headers = (
        OriginalHeader(name=name[:_MAX_NAME].replace("\0", "\ufffd"), value=_base64((content or b"")[:_HEAD_BYTES]))
        for name, content in list(record.headers)[:_MAX_HEADERS]
    )
    return OriginalRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=Timestamp.from_epoch_ms(min(max(record.timestamp, 0), _LATEST_MS)),
        headers=tuple(headers),
        key=_base64(record.key[:_HEAD_BYTES]) if record.key is not None else None,
        value=_base64(value) if whole and record.value is not None else None,
        value_size=size,
        value_sha256=None if whole or unread else digest or sha256(value).hexdigest(),
        value_head=None if whole or unread else _base64(value[:_HEAD_BYTES]),
    )


def _trace(record: Record) -> Headers:
    # One of each, and no longer than a trace context is: any number of any length may have come.
    given = {name: value for name, value in record.headers if name in TRACE_HEADERS}
    return [(name, value) for name, value in given.items() if 0 < len(value or b"") <= MAX_ATTRIBUTE]


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _json(body: CommandReply | CommandRejected) -> bytes:
    return encode(body.model_dump(mode="json", by_alias=True, exclude_none=True))
