"""Who waits for whom, and what had to come of it: a search over what was asked for and how everything really ended."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.domain.identity import command_id
from tests.chaos.drafts import SERVICE_SOURCE
from tests.chaos.life import Life, body_of, cause_of, time_of
from tests.chaos.topics import Read

_CAUSES: Final = {"FAILURE": "upstream_failed", "STOPPED": "upstream_stopped", "SKIPPED": "upstream_skipped"}
FINAL: Final = {"SUCCESS", *_CAUSES}

Flaw = tuple[str, str]
"""What is wrong, and where."""


class Wait(NamedTuple):
    """What an execution names in its `dependsOn`."""

    upstream: str
    node: str
    condition: str | None


class Network:
    """All executions as they ended, and what they wait for; `refused` were never created, by their ExecuteTasks."""

    def __init__(self, lives: Mapping[str, Life], refused: Mapping[str, Read]) -> None:
        self._lives = {id_: life for id_, life in lives.items() if life.steps and life.events}
        self._refused = refused
        self._last = {id_: body_of(life.events[-1]) for id_, life in self._lives.items()}
        self.waits = {id_: _waits(life.created_by) for id_, life in self._lives.items() if life.created_by is not None}

    def flaws(self) -> Iterator[Flaw]:
        """Everything that should not be."""
        for id_, life in self._lives.items():
            known = {event.text("ce_type"): event for event in life.events}
            yield from self._ended(id_, known)
            yield from self._started(id_, known)
            yield from self._attempts(id_, life)
        wanted = {**self.waits, **{id_: _waits(command) for id_, command in self._refused.items()}}
        for id_ in self._refused:
            if not _reaches_itself(id_, wanted, wanted):
                yield "refused for a cycle that is none", id_
        waiting = {id_ for id_, last in self._last.items() if last["status"] == "PENDING"}
        for id_ in waiting:
            if _reaches_itself(id_, self.waits, waiting):
                yield "a cycle waits for itself", id_

    def last(self, id_: str) -> dict[str, Any] | None:
        """The last event of the execution, and of the attempts after it; None if it was never created."""
        last = self._last.get(id_)
        while last is not None and "retriedBy" in last:
            last = self._last.get(last["retriedBy"])
        return last

    def newest(self, id_: str) -> str:
        """The execution, or the newest attempt at the same."""
        while "retriedBy" in self._last.get(id_, {}):
            id_ = self._last[id_]["retriedBy"]
        return id_

    def status(self, id_: str) -> str:
        """As of its last event; empty if there is none."""
        return str(self._last.get(id_, {}).get("status", ""))

    def unmet(self, id_: str) -> list[str]:
        """Those that it still waits for, or would: attempts instead of what is tried again."""
        return [self.newest(one.upstream) for one in self.waits.get(id_, ()) if not self._is_met(one)]

    def _is_met(self, wait: Wait) -> bool:
        last = self.last(wait.upstream)
        if last is None or last["status"] != "SUCCESS":
            return False
        return wait.condition is None or last["outputs"].get(wait.condition) is True

    def _reasons(self, id_: str) -> set[str]:
        """Why it may be skipped, by the one or the other that it waits for."""
        reasons = set()
        for wait in self.waits.get(id_, ()):
            last = self.last(wait.upstream)
            if last is not None and last["status"] in FINAL and not self._is_met(wait):
                reasons.add(f"{_CAUSES.get(last['status'], 'condition_false')}: {wait.node}")
        return reasons

    def _ended(self, id_: str, known: Mapping[str, Read]) -> Iterator[Flaw]:
        """What the service has ended, it had a reason to."""
        reasons = self._reasons(id_)
        if (skipped := known.get("TaskExecutionSkipped")) is not None and cause_of(skipped)[0] == SERVICE_SOURCE:
            reason = body_of(skipped)["skipReason"]
            if reason not in reasons:
                yield "skipped for no reason", f"{id_}: {reason}, not {reasons}"
        if (stopped := known.get("TaskExecutionStopped")) is not None and cause_of(stopped)[0] == SERVICE_SOURCE:
            reason = body_of(stopped).get("reason", "")
            if not reason.startswith("dependency_cycle: ") or not _reaches_itself(id_, self.waits, self.waits):
                yield "stopped for no reason", f"{id_}: {reason}"

    def _started(self, id_: str, known: Mapping[str, Read]) -> Iterator[Flaw]:
        """It was ready when all that it waits for were SUCCESS, and not before."""
        reasons, is_free = self._reasons(id_), not self.unmet(id_)
        ready, started = known.get("TaskExecutionReady"), known.get("TaskExecutionStarted")
        if self.status(id_) == "PENDING":
            if reasons:
                yield "forgotten: not skipped", f"{id_}: {reasons}"
            if is_free and self.waits.get(id_) and ready is None:
                yield "forgotten: not ready", id_
        if (ready or started) and self.waits.get(id_):
            if not is_free:
                yield "ready too early", f"{id_}: it waits for {self.unmet(id_)}"
            elif ready is None:
                yield "started, and never ready", id_
            elif max(time_of(self._end(one)) for one in self.waits[id_]) > time_of(body_of(ready)["occurredAt"]):
                yield "ready before what it waits for ended", id_

    def _end(self, wait: Wait) -> str:
        last = self.last(wait.upstream)
        return "" if last is None else str(last["completedAt"])

    def _attempts(self, id_: str, life: Life) -> Iterator[Flaw]:
        """What failed is tried again as often as was asked for, with the same inputs; and nothing else is."""
        created, last = body_of(life.events[0]), self._last[id_]
        first, number = created.get("retryOf", id_), created.get("attempt", 1)
        origin = self._lives.get(first)
        command = origin.created_by if origin is not None else None
        policy = (body_of(command) if command is not None else {}).get("retry", {"maxAttempts": 1})
        next_ = command_id(SERVICE_SOURCE, f"{id_}/attempt/{number + 1}")
        expected = next_ if last["status"] == "FAILURE" and number < policy["maxAttempts"] else None
        if last.get("retriedBy") != expected:
            yield "tried again wrongly", f"{id_}: {last.get('retriedBy')}, not {expected}"
        if (next_ in self._lives) != (expected is not None):
            yield "the next attempt is missing, or too many", f"{id_}: {next_}"
        if first != id_ and (
            origin is None or body_of(origin.events[0])["resolvedInputs"] != created["resolvedInputs"]
        ):
            yield "tried again with other inputs", id_


def _waits(command: Read) -> list[Wait]:
    named = body_of(command).get("dependsOn", ())
    return [Wait(one["executionId"], one["node"], one.get("condition")) for one in named]


def _reaches_itself(id_: str, waits: Mapping[str, list[Wait]], among: Iterable[str]) -> bool:
    allowed, seen, left = set(among), set[str](), [id_]
    while left:
        for wait in waits.get(left.pop(), ()):
            if wait.upstream == id_:
                return True
            if wait.upstream in allowed and wait.upstream not in seen:
                seen.add(wait.upstream)
                left.append(wait.upstream)
    return False
