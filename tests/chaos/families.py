"""Families of executions that wait for each other: what is sent of each, and when. Seeded, pure.

The client hears nothing, so it tries everything again and again: most starts come too early, and must be refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from service.domain.identity import command_id
from tests.chaos.drafts import SERVICE_SOURCE, SOURCE, TASK, Draft, draft

LONGEST_LEASE: Final = 4
"""Seconds; the shortest is 2."""

_MOST: Final = 8
_ROUNDS: Final = 4
_FATES: Final = (
    *("succeed",) * 8, *("fail",) * 2, "stop", "skip", "start alone", "nothing", "silent", "silent", *("beat",) * 3,
    "stranger",
)  # fmt: skip
"""What becomes of a member. Silent workers claim it and are not heard of again; strangers speak for another's."""

Timed = tuple[float, Draft]
"""When to send a command: so many seconds after the family begins."""


@dataclass(frozen=True, slots=True)
class _Member:
    execution: str
    key: str
    like_java: bool
    fate: str
    begin: float


class Families:
    """An endless supply; `new_id` gives ids for commands."""

    def __init__(self, random: Random, new_id: Callable[[], str]) -> None:
        self._random, self._new_id = random, new_id

    def next(self, version: int) -> list[Timed]:
        """All commands of the next family, by when to send them; its executions run this version of the task."""
        random = self._random
        ids = [self._new_id() for _ in range(random.randint(2, _MOST))]
        executions = [command_id(SOURCE, id_) for id_ in ids]
        waits = self._waits(len(ids))
        if random.random() < 0.1:  # for one that never comes
            executions.append(command_id(SOURCE, self._new_id()))
            waits[random.randrange(len(ids))].append(len(ids))
        arrivals = self._arrivals(len(ids))
        sent: list[Timed] = []
        for number, id_ in enumerate(ids):
            member = self._member(executions[number], arrivals[number] + number * 0.4)
            body: dict[str, Any] = {"taskId": TASK, "taskVersion": f"1.0.{version}", "inputs": {"url": f"s3://{id_}"}}
            if waits[number]:
                body["dependsOn"] = [self._wait(executions[other], other) for other in waits[number]]
            attempts = random.choice((2, 3)) if random.random() < 0.2 else 1
            if attempts > 1:
                body["retry"] = {"maxAttempts": attempts, "delay": random.choice(("PT0S", "PT1S"))}
            first = draft("ExecuteTask", id_, member.execution, body, member.key, like_java=member.like_java)
            sent.append((arrivals[number], first))
            sent += self._work(member)
            again = member.execution
            for attempt in range(2, attempts + 1):
                again = command_id(SERVICE_SOURCE, f"{again}/attempt/{attempt}")
                sent += self._work(self._member(again, member.begin + 2 * attempt))
        sent.sort(key=lambda one: one[0])
        return sent

    def _waits(self, count: int) -> dict[int, list[int]]:
        """Whom each waits for: some of those before it; once in a while, somebody waits in a circle."""
        random = self._random
        waits = {number: random.sample(range(number), min(number, random.randint(0, 3))) for number in range(count)}
        if random.random() < 0.15:
            length = random.randint(1, count)
            for number in range(length):
                before = (number - 1) % length
                if before not in waits[number]:
                    waits[number].append(before)
        return waits

    def _arrivals(self, count: int) -> list[float]:
        """When each is created: in order, against it, or in any; at once, or over some seconds."""
        order, gap = [*range(count)], self._random.choice((0, 0.05, 0.7))
        how = self._random.choice(("upstream first", "downstream first", "any"))
        if how == "downstream first":
            order.reverse()
        elif how == "any":
            self._random.shuffle(order)
        return [order.index(number) * gap for number in range(count)]

    def _wait(self, execution: str, number: int) -> dict[str, str]:
        condition = {"condition": "ok"} if self._random.random() < 0.25 else {}
        return {"executionId": execution, "node": f"node-{number}", **condition}

    def _member(self, execution: str, begin: float) -> _Member:
        random, fate = self._random, self._random.choice(_FATES)
        if fate == "beat":  # by way of another partition, which may be behind, heartbeats could come too late
            return _Member(execution, execution, like_java=True, fate=fate, begin=begin)
        key = execution if random.random() < 0.8 else f"customer-{random.randrange(50)}"
        return _Member(execution, key, key == execution and random.random() < 0.5, fate, begin)

    def _work(self, member: _Member) -> Iterator[Timed]:
        """Several rounds of what its worker does; which of them falls into the time when it may is chance."""
        outputs = {"bytes": 1, **self._random.choice(({"ok": True}, {"ok": True}, {"ok": False}, {}))}
        commands = [self._command(member, *step) for step in self._steps(member.fate, outputs)]
        at = member.begin
        for _ in range(_ROUNDS):
            at += self._random.uniform(0.3, 2.5)
            # The same start each time: where it was accepted before, it is a duplicate.
            for pause, one in commands:
                at += pause
                beats = dict(one.headers)["ce_type"] == b"HeartbeatTaskExecution"
                yield at, self._renamed(one) if beats else one

    def _steps(self, fate: str, outputs: dict[str, Any]) -> list[tuple[float, str, dict[str, Any]]]:
        """What a worker sends: each command after a pause."""
        lease = self._random.randint(2, LONGEST_LEASE)
        claim = {"owner": "worker-1", "lease": f"PT{lease}S"}
        beat = (lease / 3, "HeartbeatTaskExecution", {"owner": "worker-1"})
        told = (lease / 3, "HeartbeatTaskExecution", {"owner": "worker-1", "progress": 0.5})
        start: tuple[float, str, dict[str, Any]] = (0.0, "StartTaskExecution", {})
        stop = (0.2, "StopTaskExecution", {"reason": "no longer needed"})
        done = (0.2, "SucceedTaskExecution", {"outputs": outputs})
        steps: dict[str, list[tuple[float, str, dict[str, Any]]]] = {
            "succeed": [start, done],
            "fail": [start, (0.2, "FailTaskExecution", {"errorMessage": "disk full"})],
            "stop": [start, stop],
            "skip": [(1.0, "SkipTaskExecution", {"reason": "upstream_failed", "node": "collect_data"})],
            "start alone": [start],
            "nothing": [(0.0, "FailTaskExecution", {"errorMessage": "it has not started"})],
            "silent": [(0.0, "StartTaskExecution", claim)],
            "beat": [(0.0, "StartTaskExecution", claim), beat, told, beat, beat, beat, done],
            "stranger": [
                (0.0, "StartTaskExecution", {"owner": "worker-1"}),
                (0.1, "SucceedTaskExecution", {"outputs": outputs, "owner": "worker-2"}),
                (0.1, "HeartbeatTaskExecution", {"owner": "worker-2"}),
                (0.1, "SucceedTaskExecution", {"outputs": outputs, "owner": "worker-1"}),
            ],
        }
        return steps[fate]

    def _command(self, member: _Member, pause: float, kind: str, body: dict[str, Any]) -> tuple[float, Draft]:
        whole = {"executionId": member.execution, **body}
        return pause, draft(kind, self._new_id(), member.execution, whole, member.key, like_java=member.like_java)

    def _renamed(self, known: Draft) -> Draft:
        """The same under another id: each heartbeat is a new one."""
        headers = {**dict(known.headers), "ce_id": self._new_id().encode()}
        return replace(known, headers=tuple(headers.items()))
