"""Claims, but for how the board comes to know what can start."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from service.contracts.commands import Command, StartTaskExecution
from service.contracts.events import encode_event
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome, Position
from service.contracts.status import Status
from service.dispatch.board import Ready
from service.dispatch.dispatcher import Dispatcher
from service.kafka.connection import Kafka
from service.ports.claims import ClaimTaskExecution
from tests.queries.lives import execution_id, life

TASK = "etl:load"
LOST = CommandReply(outcome=Outcome.REJECTED, problem=problem(Code.INVALID_TRANSITION, "it is RUNNING"))


def record(name: object, status: Status = Status.PENDING, **more: Any) -> TaskExecution:
    metadata = {"createdAt": "2026-03-02T04:00:00.125Z", "createdBy": "ana"}
    return TaskExecution.model_validate(
        {"id": execution_id(name), "taskId": TASK, "taskVersion": "1.0.0", "status": status, "metadata": metadata}
        | more
    )


@dataclass
class WriteSide:
    """Accepts every start, unless told otherwise."""

    answers: list[CommandReply | Exception] = field(default_factory=list)
    submitted: list[tuple[StartTaskExecution, str, str]] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def submit(
        self, command: Command, *, id_: str, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> CommandReply:
        assert isinstance(command, StartTaskExecution)
        assert not trace
        self.submitted.append((command, id_, source))
        if self.held:
            await self.held.wait()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        started = record("", Status.RUNNING).model_copy(update={"id": command.execution_id})
        return answer or CommandReply(
            outcome=Outcome.ACCEPTED, task_execution=started, position=Position(partition=1, offset=2)
        )


@dataclass
class ReadSide:
    """Knows these executions, or raises."""

    known: dict[str, TaskExecution | Exception] = field(default_factory=dict)

    async def find(self, id_: str) -> TaskExecution:
        answer = self.known.get(id_) or reject(Code.EXECUTION_NOT_FOUND, "not yet")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def write_side() -> WriteSide:
    return WriteSide()


@pytest.fixture
def read_side() -> ReadSide:
    return ReadSide()


@pytest_asyncio.fixture
async def dispatcher(write_side: WriteSide, read_side: ReadSide) -> Dispatcher:
    made = Dispatcher(Kafka("nowhere:1"), 4, None, write_side, read_side.find)  # type: ignore[arg-type]  # not run
    made._board.unknown()
    return made


def wanted(owner: str = "w", wait: float = 5, **more: Any) -> ClaimTaskExecution:
    given = {"owner": owner, "lease": "PT30S", "tasks": [{"taskId": TASK}], "wait": wait} | more
    return ClaimTaskExecution.model_validate(given)


def ready(name: object, *, with_body: bool = True) -> Ready:
    (created,) = life(name, Status.PENDING, inputs={"n": name})
    return Ready(execution_id(name), TASK, "1.0.0", 0, encode_event(created) if with_body else None)


async def knows_the_task(dispatcher: Dispatcher) -> None:
    assert await dispatcher.claim(wanted(wait=0), "/s") is None
    for task_id in dispatcher._board.begin_reading(9):
        dispatcher._board.fill(task_id, [], whole=True)


async def waiting(dispatcher: Dispatcher, *owners: str, wait: float = 5) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(dispatcher.claim(wanted(owner, wait), "/s")) for owner in owners]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_can_start_is_started_for_who_waits(dispatcher: Dispatcher, write_side: WriteSide) -> None:
    await knows_the_task(dispatcher)
    (waits,) = await waiting(dispatcher, "w")
    dispatcher._board.add(ready(1))
    claimed = await waits
    assert claimed.execution.status is Status.RUNNING
    assert (claimed.execution.owner, claimed.execution.resolved_inputs) == ("w", {"n": 1})
    assert str(claimed.position) == "1:2"
    ((command, id_, source),) = write_side.submitted
    assert (command.execution_id, command.owner, command.lease) == (execution_id(1), "w", timedelta(seconds=30))
    assert source == "/s"
    dispatcher._board.remove(execution_id(1))
    (other,) = await waiting(dispatcher, "v")
    dispatcher._board.add(ready(1))
    await other
    assert write_side.submitted[1][1] != id_, "another owner's claim is another command"


async def test_who_was_too_late_gets_the_next(dispatcher: Dispatcher, write_side: WriteSide) -> None:
    await knows_the_task(dispatcher)
    write_side.answers = [LOST, CommandReply(outcome=Outcome.DUPLICATE, task_execution=record(2, Status.RUNNING))]
    (waits,) = await waiting(dispatcher, "w")
    for name in (1, 2, 3):
        dispatcher._board.add(ready(name))
    assert (await waits).execution.id == execution_id(3), "a duplicate may be the claim of the same owner elsewhere"


async def test_with_nothing_to_do_it_ends_in_time(dispatcher: Dispatcher) -> None:
    await knows_the_task(dispatcher)
    began = asyncio.get_running_loop().time()
    assert await dispatcher.claim(wanted(wait=0.1), "/s") is None
    assert 0.1 <= asyncio.get_running_loop().time() - began < 10
    assert dispatcher._board.waiting == 0


async def test_the_next_claim_of_an_owner_ends_the_one_before(dispatcher: Dispatcher) -> None:
    await knows_the_task(dispatcher)
    before, other = await waiting(dispatcher, "w", "v")
    assert await dispatcher.claim(wanted("w", wait=0, tasks=[]), "/s") is None
    assert await asyncio.wait_for(before, 1) is None
    dispatcher._board.add(ready(1))
    assert (await other).execution.owner == "v"


async def test_what_was_not_answered_is_there_again(dispatcher: Dispatcher, write_side: WriteSide) -> None:
    await knows_the_task(dispatcher)
    write_side.answers = [CommandUnansweredError("no reply")]
    (waits,) = await waiting(dispatcher, "w")
    dispatcher._board.add(ready(1))
    with pytest.raises(CommandUnansweredError):
        await waits
    claimed = await dispatcher.claim(wanted("v"), "/s")
    assert claimed is not None
    assert claimed.execution.id == execution_id(1)


@pytest.mark.parametrize("sent", [False, True])
async def test_who_hangs_up_takes_nothing_away(dispatcher: Dispatcher, write_side: WriteSide, *, sent: bool) -> None:
    await knows_the_task(dispatcher)
    write_side.held = asyncio.Event()
    (waits,) = await waiting(dispatcher, "w")
    dispatcher._board.add(ready(1))
    while sent and not write_side.submitted:
        await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    write_side.held.set()
    claimed = await dispatcher.claim(wanted("v"), "/s")
    assert claimed is not None
    assert claimed.execution.id == execution_id(1)


async def test_inputs_that_are_not_at_hand_are_read_before_it_is_started(
    dispatcher: Dispatcher, read_side: ReadSide, write_side: WriteSide
) -> None:
    await knows_the_task(dispatcher)
    (waits,) = await waiting(dispatcher, "w")
    dispatcher._board.add(ready(1, with_body=False))
    await asyncio.sleep(0.05)
    assert not write_side.submitted, "the read side does not know it yet"
    read_side.known[execution_id(1)] = record(1, resolvedInputs={"n": 7}, attempt=2, retryOf=execution_id(0))
    claimed = await waits
    assert (claimed.execution.resolved_inputs, claimed.execution.attempt) == ({"n": 7}, 2)
    assert claimed.execution.retry_of == execution_id(0)


async def test_without_inputs_nothing_is_started(
    dispatcher: Dispatcher, read_side: ReadSide, write_side: WriteSide
) -> None:
    await knows_the_task(dispatcher)
    dispatcher._board.add(ready(1, with_body=False))
    with pytest.raises(RejectedError, match="projection_behind"):
        await dispatcher.claim(wanted(wait=0.05), "/s")
    read_side.known[execution_id(1)] = reject(Code.UNAVAILABLE, "no answer")
    with pytest.raises(RejectedError, match="unavailable"):
        await dispatcher.claim(wanted(wait=0.05), "/s")
    read_side.known[execution_id(1)] = record(1, Status.RUNNING)
    assert await dispatcher.claim(wanted(wait=0.05), "/s") is None
    assert not write_side.submitted
    assert len(dispatcher._board) == 0
