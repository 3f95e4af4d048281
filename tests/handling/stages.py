"""What the stages of the write side pass on to each other, as values."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from service.contracts.commands import Command
from service.contracts.envelope import Envelope, Headers
from service.contracts.events import Event, TaskExecutionCreated, TaskExecutionStopped, encode_event
from service.contracts.problems import Code, problem
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import REPLIES_TOPIC
from service.domain.decision import Decision
from service.domain.execution import Execution, folded
from service.domain.timers import Timer, timers_of
from service.handling.batches import Batches, Outgoing
from service.handling.deciding import Accepted, Refused
from service.handling.incoming import ReplyAddress
from service.handling.states import States
from service.handling.unit_of_work import UnitOfWork
from service.kafka.records import Record
from tests.handling.pure import HeaderPairs, raw_record

AT = Timestamp.parse("2026-03-01T12:00:00.123Z")
WINDOW = timedelta(hours=1)
EXECUTE = b'{"taskId":"a:task","taskVersion":"1.0.0","inputs":{}}'
REPLY_TO = ReplyAddress(REPLIES_TOPIC, b"re")


def a_record(
    offset: int = 0,
    value: bytes | None = b"{}",
    headers: HeaderPairs = (),
    *,
    key: bytes | None = None,
    timestamp: int = 1,
) -> Record:
    """A record as the consumer gives it."""
    return raw_record(value, headers, offset=offset, key=key, timestamp=timestamp)


def execute(offset: int, id_: str | None = None) -> Record:
    """A command to execute the task, which asks for a reply."""
    headers = {"ce_specversion": "1.0", "ce_type": "ExecuteTask", "ce_source": "/tests", "ce_id": id_ or str(offset),
               "reply_to": "task-execution.replies"}  # fmt: skip
    return a_record(offset, EXECUTE, [(name, text.encode()) for name, text in headers.items()], key=b"k")


def created(execution_id: str, at: Timestamp = AT) -> TaskExecutionCreated:
    """The first event of an execution."""
    return TaskExecutionCreated(
        execution_id=execution_id, sequence=1, occurred_at=at, status=Status.PENDING, task_id="a:task",
        task_version="1.0.0", created_by="/tests", created_at=at, tags=(), command_id=execution_id, command_hash="1",
        resolved_inputs={},
    )  # fmt: skip


def stopped(execution_id: str, at: Timestamp = AT) -> TaskExecutionStopped:
    """Its last one."""
    return TaskExecutionStopped(
        execution_id=execution_id, sequence=2, occurred_at=at, status=Status.STOPPED, previous_status=Status.PENDING,
        task_id="a:task", task_version="1.0.0", created_by="/tests", created_at=at, tags=(), completed_at=at,
        command_id=f"stop {execution_id}", command_hash="2", requested_by="/tests",
    )  # fmt: skip


def state_after(*events: Event) -> Execution:
    """What is remembered of the execution after these events."""
    state = folded(None, events)
    assert state is not None
    return state


def finished(execution_id: str, at: Timestamp = AT) -> Execution:
    """An execution that ended then."""
    return state_after(created(execution_id, at), stopped(execution_id, at))


def timer_of(state: Execution) -> Timer:
    """The one timer of a finished execution."""
    (timer,) = timers_of(state, WINDOW)
    return timer


def accepted(
    *events: Event,
    state: Execution | None = None,
    commands: Sequence[Command] = (),
    timers: Sequence[Timer] = (),
    reply_to: ReplyAddress | None = REPLY_TO,
) -> Accepted:
    """The answer to a command that makes all this happen to the execution in this state."""
    after = folded(state, events)
    assert after is not None
    envelope = Envelope("1", "/tests", "Any", None, {}, trace=(("traceparent", b"00-1"),))
    bodies = tuple(map(encode_event, events))
    return Accepted(a_record(), reply_to, envelope, Decision(events, commands, timers), bodies, after)


def refused(reply_to: ReplyAddress | None = REPLY_TO) -> Refused:
    """The answer to a command that is wrong."""
    return Refused(a_record(value=b"{oops"), reply_to, problem(Code.INVALID_JSON, "oops"))


class Builder:
    """A batch that has room for everything."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    def append(self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers) -> object:
        self.records.append(Outgoing(key, value, headers, timestamp))
        return self

    def record_count(self) -> int:
        return len(self.records)


class Unit(UnitOfWork):
    """A unit of work that shows what is packed."""

    def __init__(self, *known: Execution, partition: int = 0, partitions: int = 4) -> None:
        self.committed = States({state.execution_id: state for state in known}, WINDOW)
        super().__init__(partition, partitions, Batches(Builder), self.committed, AT)

    def packed(self, topic: str) -> list[tuple[int, Outgoing]]:
        """The records for this topic, each with its partition."""
        return [
            (partition, record)
            for (name, partition), builders in self.batches.packed.items()
            for builder in builders
            for record in cast("Builder", builder).records
            if name == topic
        ]
