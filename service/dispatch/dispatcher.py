"""Claims: who asks for work is matched with what can start, and it is started in their name."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from service.contracts.commands import StartTaskExecution
from service.contracts.events import TaskExecutionCreated, read_event
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, RejectedError, reject
from service.contracts.replies import CommandUnansweredError, Outcome
from service.contracts.status import Status
from service.dispatch import metrics
from service.dispatch.board import Board, Poll, Ready, Wanted
from service.dispatch.ends import Ends
from service.dispatch.following import Follower
from service.dispatch.known import Known
from service.dispatch.peers import Peers
from service.domain.identity import command_id
from service.domain.view import CREATED, payloads_of
from service.kafka.connection import Kafka
from service.ports.claims import (
    AwaitTaskExecutions,
    Claimed,
    ClaimTaskExecution,
    EndedTaskExecution,
    EndedTaskExecutions,
)
from service.ports.commands import CommandGateway
from service.ports.pending import PendingExecutions

_NOT_PROJECTED_SECONDS: Final = 0.1
_STEP_BACK: Final = (0.1, 1.0)
"""So many seconds another process, whose it is, has to give an execution away: more where events are slow to come."""

Find = Callable[[str], Awaitable[TaskExecution]]
"""Asks the read side for an execution. Raises RejectedError: execution_not_found, or it does not answer."""


class Dispatcher:
    """`Claims`. Until somebody asks, nothing is read; then `run` follows the events.

    Other processes do the same with the same executions: the write side accepts one start of each, and whoever comes
    too late takes the next. Each begins with its own part of them (`Peers`), so that few starts are refused.
    """

    def __init__(
        self, kafka: Kafka, partitions: int, pending: PendingExecutions, commands: CommandGateway, find: Find
    ) -> None:
        self._peers = Peers(secrets.token_hex(4))
        self._board = Board(prefers=self._peers.is_ours)
        self._ends = Ends()
        known = Known(self._board, self._peers, self._ends)
        self._follower = Follower(kafka, partitions, pending, known)
        self._commands, self._find = commands, find
        self._asked = asyncio.Event()
        self._step_back = _STEP_BACK[0]
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._newest: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def run(self) -> None:
        """Follow the events, from the first claim on, until cancelled."""
        await self._asked.wait()
        await self._follower.run()

    def close(self) -> None:
        """Let nobody wait any more: the process ends. What is being started is still given away."""
        self._closed.set_result(None)
        for superseded in self._newest.values():
            if not superseded.done():
                superseded.set_result(None)

    async def claim(
        self, wanted: ClaimTaskExecution, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> Claimed | None:
        """See `Claims`."""
        self._asked.set()
        loop = asyncio.get_running_loop()
        deadline, superseded = loop.time() + wanted.wait, loop.create_future()
        with self._as_newest((source, wanted.owner), superseded):
            while (ready := await self._next(wanted, superseded, deadline)) is not None:
                try:
                    claimed = await self._started(ready, wanted, source, trace, deadline)
                except BaseException:
                    self._board.back(ready)
                    raise
                if claimed is not None:
                    return claimed
                self._board.lost(ready)
        return None

    async def ended(self, awaited: AwaitTaskExecutions) -> EndedTaskExecutions:
        """See `Claims`."""
        self._asked.set()
        found = await self._ends.of(awaited.execution_ids, awaited.wait, self._closed)
        return EndedTaskExecutions(
            items=tuple(EndedTaskExecution(id=id_, status=status) for id_, status in found.items())
        )

    @contextmanager
    def _as_newest(self, who: tuple[str, str], superseded: asyncio.Future[None]) -> Iterator[None]:
        """One that still waits for the same owner need not wait any more: its connection may be long gone."""
        if (older := self._newest.get(who)) and not older.done():
            older.set_result(None)
        self._newest[who] = superseded
        try:
            yield
        finally:
            if self._newest.get(who) is superseded:
                del self._newest[who]

    async def _next(
        self, wanted: ClaimTaskExecution, superseded: asyncio.Future[None], deadline: float
    ) -> Ready | None:
        """The next that may be started, unless somebody else is faster."""
        loop = asyncio.get_running_loop()
        given: asyncio.Future[Ready] = loop.create_future()
        poll = Poll(_by_task(wanted), given.set_result)
        if superseded.done() or self._closed.done():
            return None
        self._board.ask(poll)
        self._follower.look()
        metrics.WAITING.inc()
        try:
            if not given.done():
                ends: list[asyncio.Future[Any]] = [given, superseded]
                await asyncio.wait(ends, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if given.done():
                self._board.back(given.result())
            raise
        finally:
            metrics.WAITING.dec()
            self._board.withdraw(poll)
        return given.result() if given.done() else None

    async def _started(
        self,
        ready: Ready,
        wanted: ClaimTaskExecution,
        source: str,
        trace: Sequence[tuple[str, bytes]],
        deadline: float,
    ) -> Claimed | None:
        """The execution, started for its new owner; None if it cannot be started, or was by somebody else.

        What it will be given is read before: afterwards, it would be too late to find that out.
        """
        details = await self._details(ready, deadline)
        if not self._peers.is_ours(ready.execution_id):
            await asyncio.sleep(self._step_back)
        if details is None or not self._board.is_given(ready):
            return None
        command = StartTaskExecution(execution_id=ready.execution_id, owner=wanted.owner, lease=wanted.lease)
        id_ = self._peers.claim_id(command_id(wanted.owner, ready.execution_id))
        try:
            reply = await self._commands.submit(command, id_=id_, source=source, trace=trace)
        except CommandUnansweredError:
            metrics.CLAIMS.labels("unanswered").inc()
            raise
        # A duplicate may be the same owner's through another process: then it has been given the execution there.
        if reply.outcome is not Outcome.ACCEPTED or reply.task_execution is None:
            metrics.CLAIMS.labels("lost").inc()
            self._step_back = min(2 * self._step_back, _STEP_BACK[1])
            return None
        metrics.CLAIMS.labels("accepted").inc()
        self._step_back = max(0.9 * self._step_back, _STEP_BACK[0])
        return Claimed(reply.task_execution.model_copy(update=details | {"owner": wanted.owner}), reply.position)

    async def _details(self, ready: Ready, deadline: float) -> dict[str, Any] | None:
        """What the reply to its start will not repeat; None if it has started or ended."""
        if ready.body is not None:
            created = read_event(TaskExecutionCreated.__name__, ready.body)
            return {"resolved_inputs": {}} | payloads_of([created])
        while True:
            try:
                known = await self._find(ready.execution_id)
            except RejectedError as refused:
                if refused.problem.code is not Code.EXECUTION_NOT_FOUND:
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    detail = "There is work, but the read side does not know its inputs yet. Ask again in a second."
                    raise reject(Code.PROJECTION_BEHIND, detail) from None
                await asyncio.sleep(_NOT_PROJECTED_SECONDS)
            else:
                return {name: getattr(known, name) for name in CREATED} if known.status is Status.PENDING else None


def _by_task(wanted: ClaimTaskExecution) -> Wanted:
    by_task: dict[str, list[str | None]] = defaultdict(list)
    for task in wanted.tasks:
        by_task[task.task_id].append(task.version)
    return by_task
