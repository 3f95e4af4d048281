"""What a chaos run was, and what came of it."""

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Final

from tests.chaos.checker import Verdict, Written
from tests.chaos.expectation import Outcome

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
        self.faults = dict(Counter(kind for kind, _ in faults))
        waits = [
            (command.at, event.at - command.at)
            for key, life in expectation.lives.items()
            for command, event in zip(life.accepted, written.events.get(key, []), strict=False)
        ]
        worst: dict[str, float] = defaultdict(float)
        for kind, at in faults:
            after = [wait for sent, wait in waits if at <= sent < at + _RECOVERY_WINDOW]
            worst[kind] = max(worst[kind], *after, 0.0)
        self.recovery_seconds = {kind: round(seconds, 1) for kind, seconds in worst.items()}
        self.violations, self.examples = dict(verdict.violations), dict(verdict.examples)
