"""Compares what the service wrote to Kafka with what had to come of the commands. Shares no code with it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, STATE_TOPIC
from tests.chaos.client import CORRELATION, reply_topic
from tests.chaos.expectation import Expectation, expect, owner_of
from tests.chaos.life import Life, Outcome, body_of, cause_of, time_of
from tests.chaos.network import Network
from tests.chaos.state import state_flaws
from tests.chaos.topics import REPLY_TOPICS, Read, Topics
from tests.chaos.workers import late_workers

_EXAMPLES: Final = 5
_TELLS: Final = {"TaskExecutionReady", "TaskExecutionProgressed"}
"""These change no status."""


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


def check(topics: Topics, count: int, partitions: int, verdict: Verdict, outages: Sequence[float] = ()) -> Written:
    """Read everything and note every difference; `count` is the number of commands that the client wrote.

    `outages` is when brokers were not there (epoch seconds): what a worker said then was not heard.
    """
    replies = [reply for topic in REPLY_TOPICS for reply in topics.read(topic)]
    told = {reply.text(CORRELATION): body_of(reply)["outcome"] for reply in replies}
    events: dict[str, list[Read]] = defaultdict(list)
    for event in topics.read(EVENTS_TOPIC):
        events[(event.key or b"").decode()].append(event)
    expectation = expect(topics.read(COMMANDS_TOPIC), count, partitions, events, told)
    for flaw, number in expectation.flaws:
        verdict.blame(f"command {flaw}", number)
    written = Written(expectation, events, list(topics.read(REJECTIONS_TOPIC)))
    for execution_id, life in expectation.lives.items():
        _check_life(execution_id, life, events.get(execution_id, []), partitions, verdict)
    network = Network(expectation.lives, expectation.refused)
    for flaw, what in [*network.flaws(), *late_workers(expectation.lives, outages)]:
        verdict.blame(flaw, what)
    _check_rejections(written, verdict)
    _check_replies(replies, written, verdict)
    for flaw, what in state_flaws(list(topics.read(STATE_TOPIC)), topics.committed(), events, network):
        verdict.blame(flaw, what)
    for place in topics.open_transactions():
        verdict.blame("transaction left open", place)
    for record in topics.read(COMMANDS_TOPIC, topics.committed()):
        verdict.blame("command behind the group's offset", record.place)
    return written


def _check_life(execution_id: str, life: Life, events: list[Read], partitions: int, verdict: Verdict) -> None:
    """The events are those that had to come, in order, at their owner, and legal."""
    for flaw in life.flaws:
        verdict.blame("event that cannot be", f"{execution_id}: {flaw}")
    wanted, found = [step.cause for step in life.steps], [cause_of(event) for event in events]
    if found != wanted:
        kind = "twice" if len({*found}) < len(found) else "missing" if len(found) < len(wanted) else "wrong"
        verdict.blame(f"event {kind}", f"{execution_id}: {found}, not {wanted}")
    previous: dict[str, Any] = {}
    owner = owner_of(execution_id.encode(), partitions)
    for sequence, (event, step) in enumerate(zip(events, life.steps, strict=False), start=1):
        body = body_of(event)
        marks = (body.get("sequence"), body.get("status"), event.text("ce_type"), event.text("ce_id"))
        if marks != (sequence, step.status, step.type, f"{execution_id}/{sequence}"):
            verdict.blame("event out of sequence", f"{execution_id}: {marks} at {sequence}")
        if body.get("previousStatus") != previous.get("status") or event.partition != owner:
            verdict.blame("event inconsistent", f"{execution_id}/{sequence}")
        times = [time_of(body[name]) for name in ("createdAt", "startedAt", "completedAt") if name in body]
        kept = {name: time for name, time in previous.items() if name.endswith("At") and name != "occurredAt"}
        newest = body["occurredAt"] if step.type in _TELLS else body.get("completedAt") or body.get("startedAt")
        if (
            times != sorted(times)
            or kept != {name: body.get(name) for name in kept}
            or body["occurredAt"] != (newest or body.get("createdAt"))
            or time_of(body["occurredAt"]) < time_of(previous.get("occurredAt", body["occurredAt"]))
        ):
            verdict.blame("event's times are wrong", f"{execution_id}/{sequence}: {times}")
        previous = body


def _check_rejections(written: Written, verdict: Verdict) -> None:
    found: Counter[tuple[int, int]] = Counter()
    for rejection in written.rejections:
        record = body_of(rejection)["record"]
        place = record["partition"], record["offset"]
        sent = written.expectation.own.get(place)
        if sent is None or sent.text("ce_type") != "StopTaskExecution":  # for a cycle; it may have ended before
            found[place] += 1
    _compare("rejection", found, Counter(written.expectation.rejected), verdict)


def _check_replies(replies: list[Read], written: Written, verdict: Verdict) -> None:
    answers = written.expectation.answers
    found = Counter((reply.topic, reply.text(CORRELATION)) for reply in replies)
    _compare("reply", found, Counter((reply_topic(int(number)), number) for number in answers), verdict)
    by_place = {event.place: event for event in written.all_events}
    for reply in replies:
        number, body = reply.text(CORRELATION), body_of(reply)
        if body["outcome"] != answers.get(number):
            verdict.blame("reply wrong", f"{number}: {body['outcome']}, not {answers.get(number)}")
        elif body["outcome"] == Outcome.ACCEPTED and number not in written.expectation.silent:
            event = by_place.get((body["position"]["partition"], body["position"]["offset"]))
            told = body["taskExecution"]["id"], body["taskExecution"]["status"]
            if event is None or told != ((event.key or b"").decode(), body_of(event)["status"]):
                verdict.blame("reply names the wrong event", f"{number}: {body['position']}")


def _compare(what: str, found: Counter[Any], wanted: Counter[Any], verdict: Verdict) -> None:
    for extra in (found - wanted).elements():
        verdict.blame(f"{what} twice" if wanted[extra] else f"{what} to nothing", extra)
    for missing in (wanted - found).elements():
        verdict.blame(f"{what} missing", missing)
