"""Executions that depend on each other, with all that passes between them, in any order. No broker: values alone."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from random import Random
from typing import Final

from service.contracts.commands import Command, ExecuteTask
from service.contracts.definitions import TaskDefinition
from service.contracts.dependencies import Dependency
from service.contracts.envelope import SOURCE
from service.contracts.events import Event
from service.contracts.internal import AnyCommand
from service.contracts.problems import RejectedError
from service.contracts.timestamps import Timestamp
from service.domain.decided import Decision, Edge, Request
from service.domain.decision import decide
from service.domain.definitions import Definition
from service.domain.execution import Execution, Expected, folded
from service.domain.identity import command_hash, command_id
from service.domain.retries import attempt_id
from service.domain.ringing import AT_ONCE, Ringing, ring
from service.domain.timers import Timer, TimerKind, timers_of
from tests.ids import id_of

KEPT: Final = timedelta(days=30)
BEGIN: Final = Timestamp(2026, 1, 1, tzinfo=UTC)
STEP: Final = Definition(
    TaskDefinition.model_validate(
        {
            "taskId": "flow:step",
            "version": "1.0.0",
            "status": "PUBLISHED",
            "type": "sql",
            "outputVariables": [{"name": "go", "type": "boolean", "required": False}],
        }
    )
)


def step(*upstream: str, conditions: Sequence[str] = (), **more: object) -> ExecuteTask:
    """A command that waits for these, by name; of those in `conditions`, for the output `go` to be true."""
    waits = tuple(
        Dependency(execution_id=id_of(name), node=name, condition="go" if name in conditions else None)
        for name in upstream
    )
    return ExecuteTask.model_validate(
        {"task_id": "flow:step", "task_version": "1.0.0", "inputs": {}, "depends_on": waits or None, **more}
    )


class Network:
    """All executions, by name. What they send each other waits in `sent` until it is delivered."""

    def __init__(self, definition: Definition = STEP) -> None:
        self.definition = definition
        self.states: dict[str, Execution | Expected] = {}
        self.events: list[Event] = []
        self.edges: dict[tuple[str, str], Edge] = {}
        self.sent: list[tuple[str, AnyCommand]] = []
        self.timers: set[Timer] = set()
        self.at = BEGIN
        self._count = 0

    def execute(self, name: str, command: ExecuteTask) -> None:
        """Raises RejectedError: it is refused."""
        self._decide(id_of(name), command, id_of(name))

    def tell(self, command: Command) -> None:
        """Raises RejectedError: it is refused."""
        assert not isinstance(command, ExecuteTask)
        self._count += 1
        self._decide(command.execution_id, command, id_of(f"command {self._count}"))

    def status(self, name: str) -> str | None:
        state = self.states.get(id_of(name))
        return state.status if isinstance(state, Execution) else None

    def events_of(self, name: str) -> list[Event]:
        return [event for event in self.events if event.execution_id == id_of(name)]

    def deliver(self, random: Random | None = None) -> None:
        """Let everything that is sent arrive, and every timer that is due ring, until nothing is left to do.

        In order, or in any; and some of it twice.
        """
        while True:
            self.at += timedelta(milliseconds=1)
            due = sorted(timer for timer in self.timers if timer.due < self.at)
            if not self.sent and not due:
                return
            if self.sent and (not due or random is None or random.random() < 0.7):
                target, command = self.sent.pop(random.randrange(len(self.sent)) if random else 0)
                if random is not None and random.random() < 0.1:
                    self.sent.append((target, command))
                self._arrive(target, command)
            else:
                self._ring(due[0])

    def wait(self, time: timedelta) -> None:
        """So much time passes, and with it what is due."""
        end = self.at + time
        while due := sorted(timer for timer in self.timers if timer.due < end):
            self.at = max(self.at, due[0].due + timedelta(milliseconds=1))
            self.deliver()
        self.at = max(self.at, end)

    def restore(self) -> None:
        """Set the timers that follow from the states, as where these are read again."""
        states = [state for state in self.states.values() if isinstance(state, Execution)]
        self.timers = {timer for state in states for timer in timers_of(state, KEPT)}

    def rebuild(self) -> None:
        """Make the states anew from the events, which do not say who waits for whom."""
        by_id: dict[str, list[Event]] = {}
        for event in self.events:
            by_id.setdefault(event.execution_id, []).append(event)
        self.states = {id_: state for id_, events in by_id.items() if (state := folded(None, events)) is not None}
        self.edges = {}
        self.restore()

    def _arrive(self, target: str, command: AnyCommand) -> None:
        try:
            self._decide(target, command, target if isinstance(command, ExecuteTask) else id_of(repr(command)))
        except RejectedError as error:
            # Nobody asked: nobody is told.
            assert type(command).__name__ == "StopTaskExecution", error  # noqa: PT017

    def _decide(self, target: str, command: AnyCommand, id_: str) -> None:
        content = command_hash(type(command).__name__, command.model_dump(mode="json", exclude_none=True))
        self.at += timedelta(milliseconds=1)
        request = Request(command, id_, content, "/tests", self.at)
        self._take(target, decide(self.states.get(target), request, self.definition, KEPT))

    def _ring(self, timer: Timer) -> None:
        self.timers.discard(timer)
        state = self.states.get(timer.execution_id)
        edges = [edge for (upstream, _), edge in self.edges.items() if upstream == timer.execution_id]
        ringing = Ringing(self.at, KEPT, BEGIN, self.at, edges[:AT_ONCE] if timer.kind is TimerKind.RESOLVE else ())
        self._take(timer.execution_id, ring(state if isinstance(state, Execution) else None, timer, ringing))

    def _take(self, target: str, decision: Decision) -> None:
        self.events += decision.events
        if decision.state is not None:
            self.states[target] = decision.state
        if decision.forgets:
            del self.states[target]
        self.timers |= set(decision.timers)
        self.edges |= {(edge.upstream, edge.downstream): edge for edge in decision.waiting}
        for edge in decision.told:
            del self.edges[edge.upstream, edge.downstream]
        for command in decision.commands:
            self.sent.append((_target(target, command), command))


def _target(cause: str, command: AnyCommand) -> str:
    """The execution that it is about."""
    return command_id(SOURCE, attempt_id(cause, command)) if isinstance(command, ExecuteTask) else command.execution_id
