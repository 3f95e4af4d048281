"""What was sent and what came of it, by the public contract alone: every record must have exactly one outcome."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from tests.fuzz.answers import odd_time
from tests.fuzz.sent import Identity, Place, Sent, data_of, digest, json_of
from tests.fuzz.topics import Read
from tests.fuzz.wire import Raw

API_SOURCE: Final = "/task-execution-service/api"


@dataclass
class Ledger:
    """All that was sent since `clear`, and what was read since; `flaws` are (kind, what)."""

    sent: dict[Place, Sent] = field(default_factory=dict)
    aborted: list[tuple[Raw, str]] = field(default_factory=list)
    copies: dict[Place, Sent] = field(default_factory=dict)
    foreign: set[Place] = field(default_factory=set)
    commands: list[Read] = field(default_factory=list)
    events: list[Read] = field(default_factory=list)
    rejections: list[Read] = field(default_factory=list)
    replies: list[Read] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    flaws: list[tuple[str, str]] = field(default_factory=list)

    def add(self, place: Place, raw: Raw, what: str) -> None:
        """Note a record that the broker has taken."""
        self.sent[place] = Sent(place, raw, what)

    def blame(self, kind: str, what: object) -> None:
        """Note a flaw."""
        self.flaws.append((kind, str(what)))

    def settle(self) -> None:
        """Match everything that was read with what was sent, note every flaw, and begin anew."""
        self._match_copies()
        self._match_rejections()
        groups: dict[tuple[Identity, str], list[Sent]] = defaultdict(list)
        for sent in self.sent.values():
            groups[sent.identity(), sent.about()].append(sent)
        self._match_replies()
        self._match_events(groups)
        for group in groups.values():
            self._judge(group)
        for kind, reads in (("event", self.events), ("rejection", self.rejections), ("reply", self.replies)):
            for read in reads:
                odd = odd_time(json_of(read.value)) or odd_time({"time": read.headers.get("ce_time", b"").decode()})
                if odd:
                    self.blame(f"time form in a {kind}", odd)
        for held in (self.sent, self.copies, self.foreign, self.commands, self.events, self.rejections, self.replies):
            held.clear()
        self.aborted.clear()

    def _match_copies(self) -> None:
        """What another client than us wrote into the commands topic is a copy of ours, or the API's."""
        waiting: dict[int, list[Sent]] = defaultdict(list)
        for sent in sorted(self.sent.values(), key=lambda one: one.place):
            headers = [(name.decode(errors="replace"), value) for name, value in sent.raw.headers]
            waiting[digest(sent.raw.key, sent.raw.value, headers)].append(sent)
        for read in self.commands:
            if read.place in self.sent:
                continue
            alike = waiting.get(digest(read.key, read.value, read.all_headers), [])
            elsewhere = [sent for sent in alike if sent.place[0] != read.place[0]]  # at its owner, none is passed on
            if elsewhere:
                alike.remove(elsewhere[0])
                self.copies[read.place] = elsewhere[0]
                self.copies[read.place].handled_at = read.place
            else:
                self.foreign.add(read.place)
        for raw, what in self.aborted:
            headers = [(name.decode(), value) for name, value in raw.headers]
            wanted = digest(raw.key, raw.value, headers)
            if any(digest(read.key, read.value, read.all_headers) == wanted for read in self.commands):
                self.blame("aborted, but there", what)

    def _match_rejections(self) -> None:
        for read in self.rejections:
            record = json.loads(read.value or b"{}")["record"]
            place = record["partition"], record["offset"]
            sent = self.sent.get(place) or self.copies.get(place)
            if sent is not None:
                sent.rejections.append(read)
            elif place not in self.foreign:
                self.blame("rejection of no command", place)

    def _match_events(self, groups: dict[tuple[Identity, str], list[Sent]]) -> None:
        for event in self.events:
            source, id_ = event.text("ce_causationsource"), event.text("ce_causationid")
            about = "" if event.text("ce_type") == "TaskExecutionCreated" else event.text("ce_subject")
            if group := groups.get(((source, id_), about)):
                # Of equal ones, it is the one that was told so, or else one that asked for no reply.
                free = sorted((sent for sent in group if not sent.rejections), key=lambda sent: sent.told)
                (free or group)[0].events.append(event)
            elif source != API_SOURCE:
                self.blame("event of no command", f"{source} {id_} {event.place}")

    def _match_replies(self) -> None:
        boxes: dict[tuple[str, bytes], list[Sent]] = defaultdict(list)
        for sent in self.sent.values():
            if box := sent.mailbox():
                boxes[box].append(sent)
        found: dict[tuple[str, bytes], list[Read]] = defaultdict(list)
        for read in self.replies:
            found[read.topic, read.headers.get("correlation_id", b"")].append(read)
        for box, group in boxes.items():
            replies = found[box]
            if len(replies) != len(group):
                self.blame("replies", f"{len(replies)}, not {len(group)}, to {group[0].what}")
            elif len(group) == 1:
                group[0].replies = replies

    def _judge(self, group: list[Sent]) -> None:
        """The records with one identity: one of them can have made an event, the others repeat it or are refused."""
        happened = any(sent.events for sent in group)
        for sent in group:
            outcome, code = self._outcome(sent, happened=happened)
            self.outcomes[outcome if outcome != "rejected" else f"rejected: {code}"] += 1
            if len(sent.events) + len(sent.rejections) > 1:
                self.blame("two outcomes", sent.what)
            if outcome == "none":
                self.blame("no outcome", sent.what)
            for reply in sent.replies:
                body = json_of(reply.value)
                told = body["outcome"]
                if told != outcome or (outcome == "rejected" and body["problem"]["code"] != code):
                    self.blame("reply disagrees", f"{told}, not {outcome}: {sent.what}")
                if told == "accepted" and (body["position"]["partition"], body["position"]["offset"]) not in {
                    event.place for event in sent.events
                }:
                    self.blame("reply names another event", sent.what)

    def _outcome(self, sent: Sent, *, happened: bool) -> tuple[str, str]:
        if sent.rejections:
            return "rejected", json.loads(sent.rejections[0].value or b"{}")["problem"]["code"]
        if sent.events:
            return "accepted", ""
        if happened or any(json_of(reply.value)["outcome"] == "duplicate" for reply in sent.replies):
            return "duplicate", ""
        return ("duplicate", "") if self._repeats(sent) else ("none", "")

    def _repeats(self, sent: Sent) -> bool:
        """Whether another command, equal to it, was carried out: then nothing need have come of this one."""
        data, stop = (
            data_of(sent),
            b"StopTaskExecution" in (sent.raw.value or b"") + (sent.lowered.get("ce_type") or b""),
        )
        about = str(data.get("executionId")).lower() if isinstance(data, dict) else ""
        return any(
            data_of(other) == data or (stop and event.key == about.encode() and "Stopped" in event.text("ce_type"))
            for other in self.sent.values()
            for event in other.events
        )
