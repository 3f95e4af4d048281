"""What must have come of every command, told from the commands topic alone. Pure; shares no rule with the service."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiokafka.partitioner import murmur2

from tests.chaos.client import CORRELATION
from tests.chaos.topics import Read
from tests.chaos.workload import REFUSE

NEXT: Final = {
    ("", "ExecuteTask"): "PENDING",
    ("PENDING", "StartTaskExecution"): "RUNNING",
    ("PENDING", "StopTaskExecution"): "STOPPED",
    ("PENDING", "SkipTaskExecution"): "SKIPPED",
    ("RUNNING", "SucceedTaskExecution"): "SUCCESS",
    ("RUNNING", "FailTaskExecution"): "FAILURE",
    ("RUNNING", "StopTaskExecution"): "STOPPED",
}
"""The specification's invariant 3, written down once more."""


class Outcome(StrEnum):
    """How a command must end."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass
class Life:
    """One execution: the accepted commands, in order, and its statuses after each."""

    accepted: list[Read] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    def take(self, command: Read) -> Outcome:
        """What the command does to it."""
        type_, identity = command.text("ce_type"), (command.text("ce_source"), command.text("ce_id"))
        for known in self.accepted:
            if (known.text("ce_source"), known.text("ce_id")) == identity:
                return Outcome.DUPLICATE if _says_the_same(known, command) else Outcome.REJECTED
        status = self.statuses[-1] if self.statuses else ""
        stopped_again = status == "STOPPED" and type_ == "StopTaskExecution"
        if stopped_again or (self.accepted and _says_the_same(self.accepted[-1], command)):
            return Outcome.DUPLICATE
        if (status, type_) not in NEXT:
            return Outcome.REJECTED
        self.accepted.append(command)
        self.statuses.append(NEXT[status, type_])
        return Outcome.ACCEPTED


@dataclass
class Expectation:
    """`answers` by correlation id, `rejected` by place; `flaws` is what is wrong with the commands topic itself."""

    lives: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    answers: dict[str, Outcome] = field(default_factory=dict)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    forwarded: int = 0
    flaws: list[tuple[str, str]] = field(default_factory=list)


def owner_of(key: bytes, partitions: int) -> int:
    """Java's default partitioner."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def expect(commands: Iterable[Read], count: int, partitions: int) -> Expectation:
    """Follow all records of the commands topic; `count` is how many the client wrote."""
    result = Expectation()
    by_number: dict[str, list[Read]] = defaultdict(list)
    for record in commands:
        by_number[record.text(CORRELATION)].append(record)
    result.flaws += [("never written", str(n)) for n in range(count) if str(n) not in by_number]
    final: list[Read] = []
    for number, records in by_number.items():
        # What was forwarded is at its owner, and what was written there is not forwarded.
        original, *copies = sorted(records, key=lambda record: record.partition == _owner(record, partitions))
        result.flaws += [(flaw, number) for flaw in _misrouted(original, copies, partitions)]
        result.forwarded += len(copies)
        final.append(copies[0] if copies else original)
    for record in sorted(final, key=lambda record: record.place):
        number = record.text(CORRELATION)
        refused = REFUSE in record.headers
        outcome = Outcome.REJECTED if refused else result.lives[record.text("ce_subject")].take(record)
        result.answers[number] = outcome
        if outcome is Outcome.REJECTED:
            result.rejected.add(record.place)
    return result


def _owner(record: Read, partitions: int) -> int:
    return owner_of(record.headers.get("ce_subject", b""), partitions)


def _misrouted(original: Read, copies: list[Read], partitions: int) -> list[str]:
    owner = _owner(original, partitions)
    flaws = ["forwarded twice, or written twice by the client"] if len(copies) > 1 else []
    for copy in copies:
        if copy.partition != owner or original.partition == owner:
            flaws.append("forwarded to the wrong partition, or written twice by the client")
        if (copy.key, copy.value, copy.headers, copy.at) != (
            original.key,
            original.value,
            original.headers,
            original.at,
        ):
            flaws.append("changed while forwarded")
    if not copies and original.partition != owner and REFUSE not in original.headers:
        flaws.append("not forwarded")
    return flaws


def _says_the_same(one: Read, other: Read) -> bool:
    return one.text("ce_type") == other.text("ce_type") and one.value == other.value
