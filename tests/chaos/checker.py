"""Compares what the service wrote to Kafka with what had to come of the commands. Shares no code with it."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, STATE_TOPIC
from tests.chaos.client import reply_topic
from tests.chaos.expectation import Expectation, Outcome, expect, owner_of
from tests.chaos.topics import REPLY_TOPICS, Read, Topics

_POSITION: Final = b"\0position"
_EVENT_OF: Final = {
    "PENDING": "TaskExecutionCreated", "RUNNING": "TaskExecutionStarted", "SUCCESS": "TaskExecutionSucceeded",
    "FAILURE": "TaskExecutionFailed", "STOPPED": "TaskExecutionStopped", "SKIPPED": "TaskExecutionSkipped",
}  # fmt: skip
_VERSION: Final = b"\3"
_SNAPSHOT: Final = ("sequence", "status", "taskId", "taskVersion", "createdBy", "tags")
_TIMES: Final = ("createdAt", "occurredAt", "startedAt", "completedAt")
_EXAMPLES: Final = 5


@dataclass
class Verdict:
    """How often each thing went wrong, with a few examples."""

    violations: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def blame(self, flaw: str, what: object) -> None:
        """Note a violation."""
        self.violations[flaw] += 1
        if len(self.examples[flaw]) < _EXAMPLES:
            self.examples[flaw].append(str(what))


@dataclass(frozen=True)
class Written:
    """The events and rejections as they stand in Kafka, and what the commands ask for."""

    expectation: Expectation
    events: dict[str, list[Read]]
    rejections: list[Read]

    @property
    def all_events(self) -> list[Read]:
        """The events of all executions."""
        return [event for events in self.events.values() for event in events]


def check(topics: Topics, count: int, partitions: int, verdict: Verdict) -> Written:
    """Read everything and note every difference; `count` is the number of commands that the client wrote."""
    expectation = expect(topics.read(COMMANDS_TOPIC), count, partitions)
    for flaw, number in expectation.flaws:
        verdict.blame(f"command {flaw}", number)
    events: dict[str, list[Read]] = defaultdict(list)
    for event in topics.read(EVENTS_TOPIC):
        events[(event.key or b"").decode()].append(event)
    written = Written(expectation, events, list(topics.read(REJECTIONS_TOPIC)))
    for execution_id in {*events, *(key for key, life in expectation.lives.items() if life.accepted)}:
        _check_life(execution_id, written, partitions, verdict)
    _check_rejections(written, verdict)
    _check_replies([reply for topic in REPLY_TOPICS for reply in topics.read(topic)], written, verdict)
    _check_state(list(topics.read(STATE_TOPIC)), topics.committed(), written, verdict)
    for place in topics.open_transactions():
        verdict.blame("transaction left open", place)
    for record in topics.read(COMMANDS_TOPIC, topics.committed()):
        verdict.blame("command behind the group's offset", record.place)
    return written


def _check_life(execution_id: str, written: Written, partitions: int, verdict: Verdict) -> None:
    """The events are one for each accepted command, in order, at their owner, and legal."""
    life, events = written.expectation.lives[execution_id], written.events.get(execution_id, [])
    wanted = [(command.text("ce_source"), command.text("ce_id")) for command in life.accepted]
    found = [(event.text("ce_causationsource"), event.text("ce_causationid")) for event in events]
    if found != wanted:
        kind = "twice" if len({*found}) < len(found) else "missing" if len(found) < len(wanted) else "wrong"
        verdict.blame(f"event {kind}", f"{execution_id}: {found}, not {wanted}")
    previous: dict[str, Any] = {}
    owner = owner_of(execution_id.encode(), partitions)
    for sequence, (event, status) in enumerate(zip(events, life.statuses, strict=False), start=1):
        body = json.loads(event.value or b"{}")
        marks = (body.get("sequence"), body.get("status"), event.text("ce_type"), event.text("ce_id"))
        if marks != (sequence, status, _EVENT_OF[status], f"{execution_id}/{sequence}"):
            verdict.blame("event out of sequence", f"{execution_id}: {marks} at {sequence}")
        if body.get("previousStatus") != previous.get("status") or event.partition != owner:
            verdict.blame("event inconsistent", f"{execution_id}/{sequence}")
        times = [
            datetime.fromisoformat(body[name]) for name in ("createdAt", "startedAt", "completedAt") if name in body
        ]
        kept = {name: time for name, time in previous.items() if name.endswith("At") and name != "occurredAt"}
        newest = body.get("completedAt") or body.get("startedAt") or body.get("createdAt")
        if times != sorted(times) or kept != {name: body.get(name) for name in kept} or body["occurredAt"] != newest:
            verdict.blame("event's times are wrong", f"{execution_id}/{sequence}: {times}")
        previous = body


def _check_rejections(written: Written, verdict: Verdict) -> None:
    found: Counter[tuple[int, int]] = Counter()
    for rejection in written.rejections:
        record = json.loads(rejection.value or b"{}")["record"]
        found[record["partition"], record["offset"]] += 1
    _compare("rejection", found, Counter(written.expectation.rejected), verdict)


def _check_replies(replies: list[Read], written: Written, verdict: Verdict) -> None:
    answers = written.expectation.answers
    found = Counter((reply.topic, reply.text("correlation_id")) for reply in replies)
    _compare("reply", found, Counter((reply_topic(int(number)), number) for number in answers), verdict)
    by_place = {event.place: event for event in written.all_events}
    for reply in replies:
        number, body = reply.text("correlation_id"), json.loads(reply.value or b"{}")
        if body["outcome"] != answers.get(number):
            verdict.blame("reply wrong", f"{number}: {body['outcome']}, not {answers.get(number)}")
        elif body["outcome"] == Outcome.ACCEPTED:
            event = by_place.get((body["position"]["partition"], body["position"]["offset"]))
            told = body["taskExecution"]["id"], body["taskExecution"]["status"]
            if event is None or told != ((event.key or b"").decode(), json.loads(event.value or b"{}")["status"]):
                verdict.blame("reply names the wrong event", f"{number}: {body['position']}")


def _check_state(state: list[Read], committed: dict[int, int], written: Written, verdict: Verdict) -> None:
    """The newest snapshots are what the events add up to, and the positions are the group's offsets."""
    newest = {(record.partition, record.key): record for record in state}
    for number, offset in committed.items():
        position = newest.pop((number, _POSITION), None)
        if offset and (position is None or int(position.value or b"-1") != offset):
            verdict.blame(
                "position is not the group's offset", f"{number}: {position and position.value!r}, not {offset}"
            )
    snapshots = {(key or b"").hex(): record.value for (_, key), record in newest.items()}
    events = {_id_bytes(key).hex(): events for key, events in written.events.items()}
    for execution_id in {*snapshots, *events}:
        if _unpacked(snapshots.get(execution_id)) != _fold(events.get(execution_id, [])):
            verdict.blame("state is not the sum of the events", execution_id)


def _fold(events: list[Read]) -> list[Any] | None:
    bodies = [json.loads(event.value or b"{}") for event in events]
    if not bodies:
        return None
    last = {"tags": [], **bodies[-1]}
    commands = [
        [_id_bytes(body["commandId"]), bytes.fromhex(body["commandHash"]), body["sequence"], body["status"]]
        for body in bodies
    ]
    times = [_epoch_ms(last.get(name)) for name in _TIMES]
    return [*(last[name] for name in _SNAPSHOT), *times, last.get("sparkApplicationId"), commands]


def _id_bytes(id_: str) -> bytes:
    return bytes.fromhex(id_.replace("-", ""))


def _unpacked(value: bytes | None) -> Any:
    return None if value is None else msgspec.msgpack.decode(value.removeprefix(_VERSION))


def _epoch_ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def _compare(what: str, found: Counter[Any], wanted: Counter[Any], verdict: Verdict) -> None:
    for extra in (found - wanted).elements():
        verdict.blame(f"{what} twice" if wanted[extra] else f"{what} to nothing", extra)
    for missing in (wanted - found).elements():
        verdict.blame(f"{what} missing", missing)
