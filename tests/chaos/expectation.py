"""What must have come of every command. Pure; shares no rule with the service."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.partitioner import murmur2

from tests.chaos.client import CORRELATION
from tests.chaos.drafts import REFUSE, SERVICE_SOURCE
from tests.chaos.life import Life, Outcome, body_of
from tests.chaos.topics import Read


@dataclass
class Expectation:
    """`answers` by correlation id, `rejected` by place; `flaws` is what is wrong with the commands topic itself.

    `own` are the commands that the service has sent itself, by their places; `refused` the ExecuteTasks of executions
    that were refused because they wait for others, by executionId: `network` knows whether rightly.
    `silent` are accepted heartbeats that are no event.
    """

    lives: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    answers: dict[str, Outcome] = field(default_factory=dict)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    own: dict[tuple[int, int], Read] = field(default_factory=dict)
    refused: dict[str, Read] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    forwarded: int = 0
    flaws: list[tuple[str, str]] = field(default_factory=list)


def owner_of(key: bytes, partitions: int) -> int:
    """Java's default partitioner."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def expect(
    commands: Iterable[Read],
    count: int,
    partitions: int,
    events: Mapping[str, Sequence[Read]],
    told: Mapping[str, str],
) -> Expectation:
    """Follow all records of the commands topic; `count` is how many the client wrote.

    `events` are those of each execution, `told` the replies' outcomes by correlation id: of what the service does by
    itself, only they say when it was done.
    """
    result = Expectation()
    by_number: dict[str, list[Read]] = defaultdict(list)
    sent: dict[str, tuple[int, int]] = {}
    for record in commands:
        if record.text("ce_source") == SERVICE_SOURCE:
            result.flaws += _own_flaws(record, sent, partitions)
            result.own[record.place] = record
            sent[record.text("ce_id")] = record.place
        else:
            by_number[record.text(CORRELATION)].append(record)
    for key, own in events.items():
        result.lives[key] = Life(own, sent)
    result.flaws += [("never written", str(n)) for n in range(count) if str(n) not in by_number]
    final = [_final(number, records, partitions, result) for number, records in by_number.items()]
    for record in sorted(final, key=lambda record: record.place):
        number = record.text(CORRELATION)
        outcome = Outcome.REJECTED
        if REFUSE not in record.headers and not _is_refused(record, result, told.get(number)):
            outcome = result.lives[record.text("ce_subject")].take(record, told.get(number))
        result.answers[number] = outcome
        if _is_silent(record):
            result.silent.add(number)
        if outcome is Outcome.REJECTED:
            result.rejected.add(record.place)
    for life in result.lives.values():
        life.end()
    return result


def _final(number: str, records: Sequence[Read], partitions: int, result: Expectation) -> Read:
    """The record that was carried out: what was forwarded is at its owner; what was written there is not forwarded."""
    original, *copies = sorted(records, key=lambda record: record.partition == _owner(record, partitions))
    result.flaws += [(flaw, number) for flaw in _misrouted(original, copies, partitions)]
    result.forwarded += len(copies)
    return copies[0] if copies else original


def _is_silent(record: Read) -> bool:
    return record.text("ce_type") == "HeartbeatTaskExecution" and "progress" not in body_of(record)


def _own_flaws(record: Read, sent: Mapping[str, tuple[int, int]], partitions: int) -> list[tuple[str, str]]:
    id_ = record.text("ce_id")
    flaws = ["sent twice by the service, or two under one id"] if id_ in sent else []
    if record.partition != _owner(record, partitions):
        flaws.append("sent to the wrong partition by the service")
    return [(flaw, id_) for flaw in flaws]


def _is_refused(record: Read, result: Expectation, told: str | None) -> bool:
    """Whether an execution was refused that waits for others: it may be, and then is never created."""
    id_ = record.text("ce_subject")
    is_new = record.text("ce_type") == "ExecuteTask" and (id_ not in result.lives or not result.lives[id_].events)
    if not is_new or told != Outcome.REJECTED or not body_of(record).get("dependsOn"):
        return False
    result.refused[id_] = record
    return True


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
