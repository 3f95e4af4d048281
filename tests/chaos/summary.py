"""What a chaos run was, and what came of it."""

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Final

from tests.chaos.checker import Verdict, Written
from tests.chaos.drafts import SERVICE_SOURCE
from tests.chaos.life import Outcome, body_of, cause_of
from tests.chaos.topics import Read

_RECOVERY_WINDOW: Final = 1.0


@dataclass
class Summary:
    """What a run was, and what came of it. `recovery_seconds`: the longest that a command sent within a second of such
    a fault had to wait for its event, whatever else was broken at that time.
    """

    seed: int
    seconds: float
    brokers: int
    commands: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    forwarded: int = 0
    events: int = 0
    rows: int = 0
    by_itself: dict[str, int] = field(default_factory=dict)
    """What the service did without a client: by skip reason, or how else."""
    faults: dict[str, int] = field(default_factory=dict)
    recovery_seconds: dict[str, float] = field(default_factory=dict)
    caught_up_seconds: float | None = None
    ended_by_itself: dict[str, int] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def describe(self, written: Written, faults: list[tuple[str, float]], verdict: Verdict) -> None:
        """Note what was written, what went wrong and when (epoch seconds), and what the checker says."""
        expectation = written.expectation
        outcomes = Counter(expectation.answers.values())
        self.accepted, self.duplicates, self.rejected = (outcomes[outcome] for outcome in Outcome)
        self.forwarded, self.events = expectation.forwarded, len(written.all_events)
        self.by_itself = dict(
            Counter(_kind(event) for event in written.all_events if cause_of(event)[0] == SERVICE_SOURCE)
        )
        self.faults = dict(Counter(kind for kind, _ in faults))
        waits = [
            (step.by.at, event.at - step.by.at)
            for key, life in expectation.lives.items()
            for step, event in zip(life.steps, written.events.get(key, []), strict=False)
            if step.by is not None
        ]
        worst: dict[str, float] = defaultdict(float)
        for kind, at in faults:
            after = [wait for sent, wait in waits if at <= sent < at + _RECOVERY_WINDOW]
            worst[kind] = max(worst[kind], *after, 0.0)
        self.recovery_seconds = {kind: round(seconds, 1) for kind, seconds in worst.items()}
        self.violations, self.examples = dict(verdict.violations), dict(verdict.examples)


def _kind(event: Read) -> str:
    body = body_of(event)
    why = body.get("skipReason") or body.get("errorMessage") or body.get("reason") or event.text("ce_type")
    return str(why).partition(":")[0]
