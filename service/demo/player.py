"""Plays a plan as outside services would: through Kafka, many pipelines at once, each in order."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from service.contracts.commands import Command
from service.contracts.envelope import Headers
from service.contracts.problems import Code
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.demo.steps import Send, SendRaw, Step
from service.demo.workload import Plan

CONCURRENCY: Final = 200
"""How many pipelines are played at once, if nobody says."""

OnProgress = Callable[[int, int], None]


class Commands(Protocol):
    """Sends a command, or a record as it stands, and awaits the reply. The caller opens and closes it."""

    async def submit(self, command: Command, *, id_: str, source: str) -> CommandReply:
        """Raises CommandUnansweredError: no reply came."""
        ...

    async def submit_raw(self, value: bytes, *, headers: Headers, key: bytes) -> CommandReply:
        """Raises CommandUnansweredError: no reply came."""
        ...


@dataclass(slots=True)
class Summary:
    """How the commands ended. `unexpected` tells of each that did not end as planned."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    unanswered: int = 0
    unexpected: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many commands were sent."""
        return self.outcomes.total() + self.unanswered

    @property
    def accepted(self) -> int:
        """How many made an event."""
        return self.outcomes[Outcome.ACCEPTED]

    @property
    def rejected(self) -> int:
        """How many were refused."""
        return self.outcomes[Outcome.REJECTED]

    @property
    def duplicates(self) -> int:
        """How many said what was so already."""
        return self.outcomes[Outcome.DUPLICATE]


async def play(
    plan: Plan, commands: Commands, *, concurrency: int = CONCURRENCY, on_progress: OnProgress | None = None
) -> Summary:
    """Send everything; `on_progress(done, total)` is called after every reply.

    An unanswered command is counted, not repeated: what follows it may then end otherwise than planned, too.
    """
    summary, total = Summary(), plan.total
    turn = asyncio.Semaphore(concurrency)

    async def play_pipeline(steps: tuple[Step, ...]) -> None:
        async with turn:
            for step in steps:
                await _play_step(plan.source, step, commands, summary)
                if on_progress:
                    on_progress(summary.sent, total)

    async with asyncio.TaskGroup() as group:
        for steps in plan.pipelines:
            group.create_task(play_pipeline(steps))
    return summary


async def _play_step(source: str, step: Step, commands: Commands, summary: Summary) -> None:
    try:
        match step:
            case Send():
                reply = await commands.submit(step.command, id_=step.id, source=source)
            case SendRaw():
                reply = await commands.submit_raw(step.value, headers=step.headers, key=step.key)
    except CommandUnansweredError as error:
        summary.unanswered += 1
        summary.unexpected.append(str(error))
        return
    summary.outcomes[reply.outcome] += 1
    code = reply.problem.code if reply.problem else None
    if (reply.outcome, code) != (step.expected, step.code):
        name = step.id if isinstance(step, Send) else step.key.decode()
        detail = reply.problem.detail if reply.problem else ""
        summary.unexpected.append(
            f"{name}: {_said(reply.outcome, code)}, not {_said(step.expected, step.code)}. {detail}"
        )


def _said(outcome: Outcome, code: Code | None) -> str:
    return f"{outcome} ({code})" if code else str(outcome)
