"""The player alone: what it counts and in which order it sends. Against the real service it is played end to end."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.contracts.commands import Command
from service.contracts.envelope import Headers
from service.contracts.problems import Code, problem
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.demo.player import play
from service.demo.steps import Send, Step
from service.demo.workload import Plan, make_plan


@dataclass
class Answers:
    """Answers as planned, except where told otherwise."""

    plan: Plan
    replace: dict[str, CommandReply | None] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0

    def __post_init__(self) -> None:
        self.expected: dict[str, Iterator[Step]] = {}
        by_name: dict[str, list[Step]] = {}
        for steps in self.plan.pipelines:
            for step in steps:
                by_name.setdefault(name(step), []).append(step)
        self.expected = {key: iter(steps) for key, steps in by_name.items()}

    async def submit(self, command: Command, *, id_: str, source: str) -> CommandReply:
        assert source == self.plan.source
        assert command
        return await self.answer(id_)

    async def submit_raw(self, value: bytes, *, headers: Headers, key: bytes) -> CommandReply:
        assert value
        assert headers
        return await self.answer(key.decode())

    async def answer(self, key: str) -> CommandReply:
        self.sent.append(key)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        step = next(self.expected[key])
        if key in self.replace:
            reply = self.replace[key]
            if reply is None:
                raise CommandUnansweredError("No reply came", id_=key, source=self.plan.source)
            return reply
        return CommandReply(outcome=step.expected, problem=problem(step.code, "no") if step.code else None)


def name(step: Step) -> str:
    return step.id if isinstance(step, Send) else step.key.decode()


async def test_all_is_sent_in_the_order_of_each_pipeline_and_counted() -> None:
    plan, progress = make_plan(60), list[tuple[int, int]]()
    answers = Answers(plan)
    summary = await play(plan, answers, concurrency=5, on_progress=lambda done, total: progress.append((done, total)))
    assert summary.unexpected == []
    assert summary.outcomes == plan.outcomes
    assert (summary.sent, summary.unanswered) == (plan.total, 0)
    assert (summary.accepted, summary.rejected, summary.duplicates) == tuple(plan.outcomes[kind] for kind in (
        Outcome.ACCEPTED, Outcome.REJECTED, Outcome.DUPLICATE,
    ))  # fmt: skip
    assert progress == [(done, plan.total) for done in range(1, plan.total + 1)]
    assert 1 < answers.most_waiting <= 5
    for steps in plan.pipelines:
        own = {name(step) for step in steps}
        assert [key for key in answers.sent if key in own] == [name(step) for step in steps]


async def test_what_ends_otherwise_is_told_and_the_rest_goes_on() -> None:
    plan = make_plan(30)
    first, last = name(plan.pipelines[0][0]), name(plan.pipelines[-1][0])
    refused = CommandReply(outcome=Outcome.REJECTED, problem=problem(Code.INVALID_INPUTS, "It was refused."))
    unexpected = Answers(plan, {first: refused, last: None})
    summary = await play(plan, unexpected)
    assert summary.sent == plan.total
    assert summary.unanswered == unexpected.sent.count(last)
    assert f"{first}: rejected (invalid_inputs), not accepted. It was refused." in summary.unexpected
    assert any("send the same command with the same id again" in text for text in summary.unexpected)
