"""The workers alone: what they start, and what they tell. In a whole service: test_recorded_run.py."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.contracts.commands import Command, ExecuteTask
from service.contracts.events import AnyEvent, Dependency
from service.contracts.problems import Code, problem
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.contracts.status import Status
from service.demo import workers as module
from service.demo.recordings import RecordedTask
from service.demo.workers import Workers
from tests.queries.lives import execution_id, life

ACCEPTED = CommandReply(outcome=Outcome.ACCEPTED)
REFUSED = CommandReply(outcome=Outcome.REJECTED, problem=problem(Code.NOT_READY, "It waits for a."))


@dataclass
class Service:
    """A service of which a test says what it answers and publishes. It publishes ends by itself."""

    published: list[AnyEvent] = field(default_factory=list)
    answers: dict[str, CommandReply | None] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)

    async def submit(self, command: Command, *, id_: str | None = None) -> CommandReply:
        assert not isinstance(command, ExecuteTask)
        kind = type(command).__name__.removesuffix("TaskExecution")
        self.sent.append((kind, command.execution_id))
        answer = self.answers.get(kind, ACCEPTED)
        if answer is None:
            raise CommandUnansweredError("No reply came", id_=id_, source="/tests")
        if kind in {"Succeed", "Fail"}:
            name = next(name for name in "abc" if execution_id(name) == command.execution_id)
            self.published.append(life(name, Status.SUCCESS if kind == "Succeed" else Status.FAILURE)[-1])
        return answer

    async def events(self) -> list[AnyEvent]:
        await asyncio.sleep(0)
        new, self.published = self.published, []
        return new


def workers(service: Service, *names: str, failing: str = "") -> Workers:
    tasks = {execution_id(name): RecordedTask(name, (), 1.0) for name in names}
    return Workers(service.submit, tasks, failing)


async def test_what_need_not_wait_runs_at_once_and_what_waits_once_it_is_ready() -> None:
    waits = (Dependency(execution_id("a"), "a"),)
    created = [life("a", Status.PENDING)[0], life("b", Status.PENDING, depends_on=waits)[0]]
    service, told = Service([*created, life("other", Status.PENDING)[0]]), list[int]()
    pair = workers(service, "a", "b", failing="a")
    service.published.append(life("b", Status.SKIPPED)[-1])
    await pair.work(service.events, told.append)
    assert service.sent == [("Start", execution_id("a")), ("Fail", execution_id("a"))]
    assert told == [1, 2]
    assert pair.unexpected == []


@pytest.mark.parametrize(("answer", "why"), [(REFUSED, "rejected. It waits for a."), (None, "No reply came")])
async def test_what_is_not_accepted_is_told_and_nothing_is_awaited_for_ever(
    answer: CommandReply | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.01)
    service = Service([life("a", Status.PENDING)[0]], {"Start": answer})
    one = workers(service, "a")
    await one.work(service.events, lambda _: None)
    assert service.sent == [("Start", execution_id("a"))]
    assert f"a, start: {why}" in one.unexpected[0]
    assert one.unexpected[1:] == ["a: nothing happens to it any more"]
