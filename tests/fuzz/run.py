"""A fuzz run: rounds against a running service, each checked, until the time is over; then the last checks."""

import json
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.fuzz.asking import Asking
from tests.fuzz.commands import OWN_REPLIES, REPLIES
from tests.fuzz.final import EndCheck
from tests.fuzz.ledger import Ledger
from tests.fuzz.probes import Probes
from tests.fuzz.round import Round
from tests.fuzz.sending import Sending
from tests.fuzz.service import Service, Span, running
from tests.fuzz.topics import COMMANDS, EVENTS, PARTITIONS, REJECTIONS, Follower

MEMORY_LIMIT_MB: Final = 2000.0
"""Of the whole service in one process; its engine alone may use 2 GiB before it refuses a query."""

HEALTH_LIMIT_SECONDS: Final = 2.0
_GROWTH: Final = 1.5
_EXPECTED: Final = {
    "definition_unreadable", "published_definition_changed", "fetch_failed", "definitions_read_failed",
}  # fmt: skip
"""What the log may say of such inputs; everything else says that a part of the service failed on one of them."""

_LATELY_SECONDS: Final = 15.0
_EXAMPLES: Final = 5
_EXAMPLE_LENGTH: Final = 1000


@dataclass
class Summary:
    """What a run was, and what came of it; `replay` does the first round with a flaw again, alone."""

    seed: int
    rounds: int = 0
    services: int = 0
    inputs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    log: Counter[str] = field(default_factory=Counter)
    executions: int = 0
    slowest_probe: dict[int, float] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0.0))
    slowest_health: float = 0.0
    slowest_http: float = 0.0
    memory_mb: dict[str, float] = field(default_factory=dict)
    flaws: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    replay: str | None = None

    def blame(self, kind: str, what: str, round_: int | None = None) -> None:
        """Count a flaw, keep a few examples."""
        self.flaws[kind] += 1
        if len(self.examples[kind]) < _EXAMPLES:
            self.examples[kind].append(what[:_EXAMPLE_LENGTH])
        if self.replay is None and round_ is not None:
            self.replay = f"python -m bench.fuzz --seed {self.seed} --round {round_}"

    def __str__(self) -> str:
        """A table."""
        lines = [f"seed {self.seed}: {self.rounds} rounds, {self.services} services, {self.executions} executions"]
        for title, counts in (("inputs", self.inputs), ("outcomes", self.outcomes), ("log", self.log)):
            lines += [title, *(f"  {count:>8}  {name}" for name, count in sorted(counts.items()))]
        lines.append(
            f"slowest (s): probes {self.slowest_probe}, health {self.slowest_health:.1f}, HTTP {self.slowest_http:.1f}"
        )
        lines.append(f"memory in MB: {json.dumps(self.memory_mb)}")
        lines.append(f"flaws: {sum(self.flaws.values())}")
        for kind, count in self.flaws.most_common():
            lines += [f"  {count:>8}  {kind}", *(f"            {example}" for example in self.examples[kind])]
        return "\n".join([*lines, *([f"replay: {self.replay}"] if self.replay else [])])

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


def run_fuzz(
    directory: Path, *, seed: int, seconds: float, only: int | None = None, without: frozenset[str] = frozenset()
) -> Summary:
    """Rounds until the time is over, or the one numbered `only`. A service that stands still is replaced by a new one.

    `directory` is where services keep data and log; `without` names kinds of input to leave out.
    """
    summary, left = Summary(seed), seconds
    while left > 0:
        place = directory / f"service-{summary.services}"
        place.mkdir()
        summary.services += 1
        with running(place) as service:
            began = time.monotonic()
            with ExitStack() as parts:
                _live(parts, service, summary, began + left, only, without)
            left = 0.0 if only is not None else began + left - time.monotonic()
        for line in service.log.splitlines():
            if '"level": "warning"' in line or '"level": "error"' in line:
                told = json.loads(line)
                event = told["event"]
                summary.log[event] += 1
                if event not in _EXPECTED and not (
                    _comes_of_stalls(told) and service.samples.has_stalled(_lately(told))
                ):
                    summary.blame(f"log: {event}", line)
        if "Traceback (most recent call last)" in service.log:
            start = service.log.index("Traceback (most recent call last)")
            summary.blame("traceback in the log", service.log[start : start + 3000][-_EXAMPLE_LENGTH:])
    return summary


def _comes_of_stalls(told: dict[str, Any]) -> bool:
    """Whether this line is of a deadline, which is missed when the machine stands still."""
    return told["event"] == "read_model_unavailable" or (
        told["event"] == "partition_reset" and "TimeoutError" in told["error"]
    )


def _lately(told: dict[str, Any]) -> Span:
    at = datetime.fromisoformat(told["timestamp"]).timestamp()
    return Span(at - _LATELY_SECONDS, at)


def _live(  # noqa: PLR0913, PLR0917 - what is opened for it, and the arguments of the run
    parts: ExitStack, service: Service, summary: Summary, until: float, only: int | None, without: frozenset[str]
) -> None:
    """Rounds with one service, until it stands still or the time is over."""
    ledger = Ledger()
    admin = AdminClient({"bootstrap.servers": service.kafka})
    admin.create_topics([NewTopic(OWN_REPLIES, 2, 1)])[OWN_REPLIES].result()
    url = urlsplit(service.url)
    codes = set(httpx2.get(f"{service.url}/openapi.json", timeout=60).json()["components"]["schemas"]["Code"]["enum"])
    sending = parts.enter_context(closing(Sending(service.kafka, ledger)))
    asking = Asking((url.hostname or "", url.port or 0), codes, ledger)
    followers = {name: Follower(service.kafka, name, PARTITIONS) for name in (COMMANDS, EVENTS, REJECTIONS)}
    followers |= {REPLIES: Follower(service.kafka, REPLIES, 1), OWN_REPLIES: Follower(service.kafka, OWN_REPLIES, 2)}
    for follower in followers.values():
        parts.callback(follower.close)
    probes = parts.enter_context(closing(Probes(service.kafka, followers[REPLIES], ledger)))
    sending.define()
    moves, done = probes.all_move(f"s{summary.seed}start{summary.services}"), False
    while moves and not service.ended and not done:
        now = Round(summary.seed, only if only is not None else summary.rounds, without)
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(asking.ask, now)
            sending.send(now)
            asked.result()
        # What the first wave finds handled may have been passed on to its owner: the second comes after that.
        moves = probes.all_move(f"{now.run}a") and probes.all_move(f"{now.run}b")
        _take_in(ledger, followers)
        if not moves:
            _name_culprits(ledger, probes.standing)
        else:
            ledger.settle()
            if (status := httpx2.get(f"{service.url}/readyz", timeout=30).status_code) != httpx2.codes.OK:
                ledger.blame("not ready", f"{status} after round {now.number}")
        summary.inputs += now.inputs
        for kind, what in ledger.flaws:
            summary.blame(kind, what, now.number)
        ledger.flaws.clear()
        summary.rounds += 1
        done = only is not None or time.monotonic() > until
    if service.ended:
        summary.blame("the service ended", service.log[-_EXAMPLE_LENGTH:])
    elif moves:
        summary.executions += EndCheck(service.kafka, service.url, ledger).run()
        for kind, what in ledger.flaws:
            summary.blame(kind, what)
    summary.outcomes += ledger.outcomes + asking.answered
    summary.slowest_http = max(summary.slowest_http, asking.slowest)
    for partition, slowest in probes.slowest.items():
        summary.slowest_probe[partition] = max(summary.slowest_probe[partition], slowest)
    _measure(service, summary)


def _take_in(ledger: Ledger, followers: dict[str, Follower]) -> None:
    ledger.commands += followers[COMMANDS].read(ledger.sent)
    ledger.events += followers[EVENTS].read()
    ledger.rejections += followers[REJECTIONS].read()
    for topic in (REPLIES, OWN_REPLIES):
        ledger.replies += followers[topic].read()


def _name_culprits(ledger: Ledger, standing: set[int]) -> None:
    """The first record of every partition without an outcome: what its owner stumbles over, or what came behind it."""
    answered = {
        (r["partition"], r["offset"]) for read in ledger.rejections for r in [json.loads(read.value or b"{}")["record"]]
    }
    caused = {(read.text("ce_causationsource"), read.text("ce_causationid")) for read in ledger.events}
    for place, sent in sorted(ledger.sent.items()):
        if place[0] in standing and place not in answered and sent.identity() not in caused:
            ledger.blame(f"unanswered in partition {place[0]}", f"{place}: {sent.what}")


def _measure(service: Service, summary: Summary) -> None:
    samples = service.samples
    summary.slowest_health = max(summary.slowest_health, samples.slowest_health)
    for flaw in samples.unhealthy:
        summary.blame("unhealthy", flaw)
    if samples.slowest_alone > HEALTH_LIMIT_SECONDS:
        summary.blame("/healthz slow", f"{samples.slowest_health:.1f} s")
    memory = samples.memory
    third = max(memory[: max(1, len(memory) // 3)])
    found = {"start": memory[0], "peak": max(memory), "end": memory[-1]}
    summary.memory_mb = {name: round(max(value, summary.memory_mb.get(name, 0))) for name, value in found.items()}
    if found["peak"] > MEMORY_LIMIT_MB:
        summary.blame("memory over its limit", f"{found['peak']:.0f} MB, at most {MEMORY_LIMIT_MB:.0f}")
    if found["end"] > third * _GROWTH:
        summary.blame("memory grows", f"{found['end']:.0f} MB at the end, {third:.0f} in the first third")
