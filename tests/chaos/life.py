"""One execution, followed command by command: what each must have done to it. Pure; shares no rule with the service.

What the service does by itself, by its own commands and by time, is read from the events: here it is looked at whether
that can happen to an execution in this state, and in `network` whether it had to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final, NamedTuple

from tests.chaos.drafts import SERVICE_SOURCE
from tests.chaos.topics import Read

NEXT: Final = {
    ("", "ExecuteTask"): "PENDING",
    ("PENDING", "StartTaskExecution"): "RUNNING",
    ("PENDING", "StopTaskExecution"): "STOPPED",
    ("PENDING", "SkipTaskExecution"): "SKIPPED",
    ("RUNNING", "HeartbeatTaskExecution"): "RUNNING",
    ("RUNNING", "SucceedTaskExecution"): "SUCCESS",
    ("RUNNING", "FailTaskExecution"): "FAILURE",
    ("RUNNING", "StopTaskExecution"): "STOPPED",
}
"""The specification's invariant 3, written down once more."""

_BY_ITSELF: Final = {
    ("", "TaskExecutionCreated"): "PENDING",
    ("PENDING", "TaskExecutionReady"): "PENDING",
    ("PENDING", "TaskExecutionSkipped"): "SKIPPED",
    ("PENDING", "TaskExecutionStopped"): "STOPPED",
    ("RUNNING", "TaskExecutionFailed"): "FAILURE",
}
"""What the service may do without a client: the next attempt, what follows from others, what is late."""

_EVENT_OF: Final = {
    "ExecuteTask": "TaskExecutionCreated", "StartTaskExecution": "TaskExecutionStarted",
    "HeartbeatTaskExecution": "TaskExecutionProgressed", "SucceedTaskExecution": "TaskExecutionSucceeded",
    "FailTaskExecution": "TaskExecutionFailed", "StopTaskExecution": "TaskExecutionStopped",
    "SkipTaskExecution": "TaskExecutionSkipped",
}  # fmt: skip

Identity = tuple[str, str]
"""Source and id of a command."""


class Outcome(StrEnum):
    """How a command must end."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Step(NamedTuple):
    """An event that must be there: what caused it, its type, and the status since; `by` is the client's command."""

    cause: Identity
    type: str
    status: str
    by: Read | None = None


def body_of(record: Read) -> dict[str, Any]:
    """What the record says."""
    body: dict[str, Any] = json.loads(record.value or b"{}")
    return body


def time_of(text: str) -> float:
    """Seconds since 1970 of a time in an event."""
    return datetime.fromisoformat(text).timestamp()


def cause_of(event: Read) -> Identity:
    """The source and id of the command that the event names as its cause."""
    return event.text("ce_causationsource"), event.text("ce_causationid")


@dataclass
class Life:
    """What must have happened to it, in order; `events` is what did.

    `sent` are the places of the commands that the service has sent itself, by their ids.
    """

    events: Sequence[Read] = ()
    sent: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    beats: list[Read] = field(default_factory=list)
    """All heartbeats of its owner, whatever came of them."""
    flaws: list[str] = field(default_factory=list)
    waits: bool = False
    owner: str | None = None
    lease: str | None = None

    @property
    def status(self) -> str:
        """As of now; empty before it is created."""
        return self.steps[-1].status if self.steps else ""

    @property
    def created_by(self) -> Read | None:
        """The client's ExecuteTask, if that is what made it."""
        return self.steps[0].by if self.steps else None

    def take(self, command: Read, told: str | None) -> Outcome:
        """What the command does to it; `told` is what its sender was told."""
        self._catch_up(command)
        outcome = self._outcome(command)
        while (
            (event := self._own_event()) is not None
            and event.text("ce_causationid") not in self.sent
            and (outcome != told or (outcome is Outcome.ACCEPTED and self._is_before(event, command)))
        ):
            self._happen(event)  # a timer rang before: when it did is written nowhere, but answer and events tell
            outcome = self._outcome(command)
        body = body_of(command)
        if command.text("ce_type") == "HeartbeatTaskExecution" and self.owner == body["owner"]:
            self.beats.append(command)
        if outcome is Outcome.ACCEPTED:
            self._accept(command, body)
        return outcome

    def end(self) -> None:
        """What the service did after the last command."""
        while (event := self._own_event()) is not None:
            self._happen(event)

    def _own_event(self) -> Read | None:
        """The next event, if the service did it by itself."""
        event = self.events[len(self.steps)] if len(self.steps) < len(self.events) else None
        return event if event is not None and cause_of(event)[0] == SERVICE_SOURCE else None

    def _is_before(self, event: Read, command: Read) -> bool:
        """Whether what came of the command stands behind this event."""
        return any(one.place > event.place and cause_of(one) == _identity(command) for one in self.events)

    def _catch_up(self, command: Read) -> None:
        """Whatever came of the service's commands before this one is over."""
        own = takewhile(lambda event: cause_of(event)[0] == SERVICE_SOURCE, self.events[len(self.steps) :])
        before = 0
        for number, event in enumerate(own, 1):
            place = self.sent.get(event.text("ce_causationid"))
            if place is not None and place < command.place:
                before = number
        for event in self.events[len(self.steps) : len(self.steps) + before]:
            self._happen(event)

    def _happen(self, event: Read) -> None:
        type_ = event.text("ce_type")
        status = _BY_ITSELF.get((self.status, type_))
        if status is None:
            self.flaws.append(f"{type_} of an execution that is {self.status or 'not there'}")
        if type_ == "TaskExecutionCreated":
            self.waits = "notBefore" in body_of(event)
        elif type_ == "TaskExecutionReady":
            if not self.waits:
                self.flaws.append("ready twice, or without having waited")
            self.waits = False
        self.steps.append(Step(cause_of(event), type_, status or self.status))

    def _outcome(self, command: Read) -> Outcome:
        type_, body = command.text("ce_type"), command.value
        for step in self.steps:
            if step.by is not None and step.type != "TaskExecutionProgressed" and step.cause == _identity(command):
                return Outcome.DUPLICATE if _says_the_same(step.by, command) else Outcome.REJECTED
        told = [step for step in self.steps if step.type != "TaskExecutionProgressed"]
        stopped_again = self.status == "STOPPED" and type_ == "StopTaskExecution"
        if stopped_again or (told and told[-1].by is not None and _says_the_same(told[-1].by, command)):
            return Outcome.DUPLICATE
        if (self.status, type_) not in NEXT or (type_ == "StartTaskExecution" and self.waits):
            return Outcome.REJECTED
        speaks = type_ in {"HeartbeatTaskExecution", "SucceedTaskExecution", "FailTaskExecution"}
        if speaks and json.loads(body or b"{}").get("owner", self.owner) != self.owner:
            return Outcome.REJECTED
        return Outcome.ACCEPTED

    def _accept(self, command: Read, body: dict[str, Any]) -> None:
        type_ = command.text("ce_type")
        if type_ == "ExecuteTask":
            self.waits = bool(body.get("dependsOn"))
        elif type_ == "StartTaskExecution":
            self.owner, self.lease = body.get("owner"), body.get("lease")
        if type_ != "HeartbeatTaskExecution" or "progress" in body:
            self.steps.append(Step(_identity(command), _EVENT_OF[type_], NEXT[self.status, type_], command))


def _identity(command: Read) -> Identity:
    return command.text("ce_source"), command.text("ce_id")


def _says_the_same(one: Read, other: Read) -> bool:
    return one.text("ce_type") == other.text("ce_type") and one.value == other.value
