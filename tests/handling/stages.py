"""What the stages of the write side pass on to each other, as values."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import cast

from service.contracts.commands import Command
from service.contracts.envelope import Envelope, Headers
from service.contracts.events import Event, TaskExecutionCreated, TaskExecutionStopped, encode_event
from service.contracts.problems import Code, problem
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import REPLIES_TOPIC
from service.domain.decided import Decision
from service.domain.execution import Execution, folded
from service.domain.ringing import Ringing
from service.domain.timers import Timer, timers_of
from service.handling.batches import Batches, Outgoing
from service.handling.deciding import Accepted, Refused
from service.handling.incoming import ReplyAddress
from service.handling.restoring import StoreRecords
from service.handling.ringing import ring_all
from service.handling.snapshots import encode_snapshot, state_key
from service.handling.state_store import Mark, StateRecord, StateStore
from service.handling.states import States
from service.handling.unit_of_work import UnitOfWork
from service.kafka.records import Record
from tests.handling.pure import HeaderPairs, raw_record
from tests.ids import hash_of, id_of

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


def created(name: str, at: Timestamp = AT) -> TaskExecutionCreated:
    """The first event of an execution."""
    return TaskExecutionCreated(
        execution_id=id_of(name), sequence=1, occurred_at=at, status=Status.PENDING, task_id="a:task",
        task_version="1.0.0", created_by="/tests", created_at=at, tags=(), command_id=id_of(name),
        command_hash=hash_of("1"), resolved_inputs={},
    )  # fmt: skip


def stopped(name: str, at: Timestamp = AT) -> TaskExecutionStopped:
    """Its last one."""
    return TaskExecutionStopped(
        execution_id=id_of(name), sequence=2, occurred_at=at, status=Status.STOPPED, previous_status=Status.PENDING,
        task_id="a:task", task_version="1.0.0", created_by="/tests", created_at=at, tags=(), completed_at=at,
        command_id=id_of(f"stop {name}"), command_hash=hash_of("2"), requested_by="/tests",
    )  # fmt: skip


def state_after(*events: Event) -> Execution:
    """What is remembered of the execution after these events."""
    state = folded(None, events)
    assert state is not None
    return state


def finished(name: str, at: Timestamp = AT) -> Execution:
    """An execution that ended then."""
    return state_after(created(name, at), stopped(name, at))


def ring(unit: UnitOfWork, *due: Timer) -> int:
    """Let these ring in the unit; how many have."""
    return ring_all(due, unit, Ringing(unit.at, WINDOW, unit.at, unit.at))


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
    decision = Decision(events, after, commands, timers)
    return Accepted(a_record(), reply_to, after.execution_id, envelope, decision, bodies, after)


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


class MemoryStore:
    """A store that is not on a disk."""

    offset = count = 0
    is_busy = is_closed = False

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.mark: Mark | None = None

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.records.get(key) for key in keys]

    def scan(self, prefix: bytes, size: int, most: int) -> list[tuple[bytes, bytes]]:
        found = [item for item in sorted(self.records.items()) if item[0].startswith(prefix) and len(item[0]) == size]
        return found[:most]

    def write(self, records: Iterable[StateRecord], mark: Mark) -> None:
        for key, value in records:
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value
        self.mark = mark

    def close(self) -> None:
        self.is_closed = True


def remembering(*known: Execution, kept: timedelta | None = WINDOW) -> States:
    """What a partition remembers that was opened with these."""
    records = StoreRecords("origin", kept, lambda: AT)
    store = MemoryStore()
    topic = (state_record(state_key(state.execution_id), encode_snapshot(state)) for state in known)
    store.write(records.of(topic), records.mark(0))
    return States(cast("StateStore", store), records)


def state_record(key: bytes, value: bytes | None, offset: int = 0) -> Record:
    """A record of the state topic."""
    return raw_record(value, (), offset=offset, key=key)


class Unit(UnitOfWork):
    """A unit of work that shows what is packed."""

    def __init__(self, *known: Execution, partition: int = 0, partitions: int = 4) -> None:
        self.committed = remembering(*known)
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
