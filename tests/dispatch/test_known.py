"""What the events say, as they are on the topic."""

import asyncio
from typing import Any

from msgspec.structs import replace

from service.contracts.events import Dependency, Event, TaskExecutionCreated
from service.contracts.status import Status
from service.dispatch.board import Board, Poll, Ready
from service.dispatch.ends import Ends
from service.dispatch.known import Known
from service.dispatch.peers import Peers
from service.kafka.records import Record
from tests.queries.lives import execution_id, life, records
from tests.queries.test_pending import ready

TASK = "etl:load"


def known() -> tuple[Known, list[Ready]]:
    """What is known by who follows from the beginning, and what a worker was given."""
    given: list[Ready] = []
    board = Board()
    for _ in range(9):
        board.ask(Poll({TASK: [None]}, given.append))
    return Known(board, Peers("me"), Ends()), given


def follow(found: Known, *events: Event, **headers: bytes) -> None:
    for record in records(events):
        more = tuple((name, value) for name, value in headers.items())
        found.note(Record(**{**_fields(record), "headers": (*record.headers, *more)}), 1.0)


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__struct_fields__}


def created(name: object, **more: Any) -> TaskExecutionCreated:
    (event,) = life(name, Status.PENDING, inputs={"n": 1})
    assert isinstance(event, TaskExecutionCreated)
    return replace(event, **more)


def test_what_is_created_can_start_unless_it_waits() -> None:
    found, given = known()
    waits = created(2, depends_on=(Dependency(execution_id(1), "one"),))
    follow(found, created(1), waits, created(3, not_before=waits.created_at))
    assert [one.execution_id for one in given] == [execution_id(1)]
    assert given[0].body is not None
    follow(found, ready(waits))
    assert [one.execution_id for one in given] == [execution_id(1), execution_id(2)]
    assert given[1].body is None, "it has no inputs"


def test_what_has_started_or_ended_cannot_start() -> None:
    found, _ = known()
    board = Board()
    board.ask(Poll({TASK: [None]}, lambda _: None))
    board.add(Ready(execution_id(0), TASK, "1.0.0", 0))
    for task_id in board.begin_reading(9):
        board.fill(task_id, [Ready(execution_id(name), TASK, "1.0.0", 0) for name in Status], whole=True)
    assert len(board) == 6
    found = Known(board, Peers("me"), Ends())
    for status in Status:
        follow(found, *life(status, status, started=status is not Status.STOPPED))
    assert [ready.execution_id for ready in board._places.values()] == [execution_id(Status.PENDING)]


def test_who_starts_them_is_seen() -> None:
    found, _ = known()
    other = Peers("other")
    follow(found, life(1, Status.RUNNING)[1], ce_causationid=other.claim_id("x").encode())
    assert not all(found.peers.is_ours(str(number)) for number in range(100))


def test_what_cannot_be_read_says_nothing() -> None:
    found, given = known()
    for kind in (b"TaskExecutionCreated", b"TaskExecutionReady", b"TaskExecutionStarted", b"Other", b"\xff"):
        for value in (b"", b"{}", b"\xff", None):
            found.note(Record("events", 0, 0, 0, None, value, (("ce_type", kind), ("ce_causationid", b"\xff"))), 1.0)
    assert given == []


async def test_ends_are_told_at_once_and_for_a_while_after() -> None:
    closing = asyncio.get_running_loop().create_future()
    ends = Ends(remembered=2)
    waits = asyncio.create_task(ends.of(["a", "b"], 5, closing))
    other = asyncio.create_task(ends.of(["x"], 5, closing))
    await asyncio.sleep(0)
    ends.add("b", Status.STOPPED)
    assert await asyncio.wait_for(waits, 1) == {"b": Status.STOPPED}
    assert await ends.of(["a", "b"], 5, closing) == {"b": Status.STOPPED}
    assert await ends.of(["a"], 0.01, closing) == {}
    ends.add("c", Status.FAILURE)
    ends.add("d", Status.SUCCESS)
    assert await ends.of(["b"], 0.01, closing) == {}
    closing.set_result(None)
    assert await asyncio.wait_for(other, 1) == {}
    assert not ends._waiting
