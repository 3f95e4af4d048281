"""One round: what is sent in it, drawn from its seed alone, so that it can be done again without the others."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, Message, Producer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.fuzz import answers, definitions, http
from tests.fuzz.commands import REPLIES, Recipe, make, recipes
from tests.fuzz.definitions import Trial, trials
from tests.fuzz.ledger import Ledger
from tests.fuzz.topics import COMMANDS, PARTITIONS
from tests.fuzz.wire import CODECS, REFUSED, Connection, Raw, batch

Drawn = TypeVar("Drawn")

_COMMANDS: Final = 120
_TRIALS: Final = 8
_CALLS: Final = 40
_MALFORMED: Final = 8
_BATCH_BYTES: Final = 900_000
_BOMB_BYTES: Final = (5_000_000, 20_000_000, 60_000_000)


@dataclass
class Round:
    """`run` names it; `inputs` counts what was sent by kind; `without` names kinds of input to leave out."""

    seed: int
    number: int
    without: frozenset[str]
    inputs: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Draw everything."""
        self.run = f"s{self.seed}r{self.number}"
        own = self.seed * 1_000_003 + self.number
        self.random = Random(own)  # noqa: S311 - reproducible, not secret
        self.recipes: list[Recipe] = draw(recipes(self.without), _COMMANDS, own)
        self.trials: list[Trial] = draw(trials(self.without), _TRIALS, own)
        self.calls: list[http.Call] = draw(http.calls(), _CALLS, own) if "http" not in self.without else []
        self.malformed: list[tuple[str, int]] = (
            draw(http.malformed(), _MALFORMED, own) if "malformed" not in self.without else []
        )


def draw(strategy: st.SearchStrategy[Drawn], count: int, seed: int) -> list[Drawn]:
    """So many examples, always the same for the same seed."""
    found: list[Drawn] = []

    @seeded(seed)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Drawn) -> None:
        found.append(example)

    collect()
    return found


class Sending:
    """Sends rounds to one service: the broker at `servers`, the API at `address`."""

    def __init__(self, servers: str, address: tuple[str, int], codes: set[str], ledger: Ledger) -> None:
        self._connection = Connection(servers, 60)
        self._servers, self._address, self._codes, self._ledger = servers, address, codes, ledger
        self._transactional = Producer({
            "bootstrap.servers": servers, "transactional.id": "fuzz", "log_level": 2, "partitioner": "murmur2_random",
            "transaction.timeout.ms": 60_000,
        })  # fmt: skip
        self._transactional.init_transactions(30)
        self.answered: Counter[str] = Counter()
        self.slowest = 0.0

    def define(self) -> None:
        """Publish the sound definition."""
        sound = definitions.SOUND
        self._publish(f"{sound['taskId']}@{sound['version']}".encode(), json.dumps(sound).encode(), [])

    def send(self, now: Round) -> None:
        """Everything in the round: HTTP beside Kafka, and connections that say nothing."""
        held = answers.hold_open(self._address, 0 if "malformed" in now.without else 12)
        try:
            with ThreadPoolExecutor(5) as pool:
                asked = [pool.submit(self._ask, now, call) for call in now.calls]
                asked += [pool.submit(self._babble, now, *wrong) for wrong in now.malformed]
                self._define(now)
                self._send_commands(now)
                if "transactions" not in now.without:
                    self._send_transactions(now)
                for future in asked:
                    future.result()
        finally:
            for connection in held:
                connection.close()

    def _publish(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        raw = Raw(key, value, tuple((name.encode(), text) for name, text in headers), _now())
        if self._connection.produce("task-definitions", 0, batch([raw], "none")) == REFUSED and key != b"":
            self._ledger.outcomes["definition refused by the broker"] += 1

    def _define(self, now: Round) -> None:
        for place, trial in enumerate(now.trials):
            number = f"{now.run}-{place}"
            for key, value, headers in definitions.records(trial, number):
                self._publish(key, value, headers)
            now.inputs[f"definition: {trial.kind}"] += 1

    def _send_commands(self, now: Round) -> None:
        records = [
            (make(recipe, now.run, number, _now()), f"round {now.number} record {number}: {recipe}")
            for number, recipe in enumerate(now.recipes)
        ]
        for recipe in now.recipes:
            now.inputs[f"command with {len(recipe.mutations)} mutations"] += 1
        records += [self._trial(now, place, trial) for place, trial in enumerate(now.trials)]
        if "bomb" not in now.without and now.random.random() < 0.3:
            size = now.random.choice(_BOMB_BYTES)
            records.append((Raw(None, b" " * size, ((b"ce_type", b"x"),), _now()), f"bomb of {size} bytes"))
            now.inputs["bomb"] += 1
        while records:
            records = self._send_batch(now, records)

    def _trial(self, now: Round, place: int, trial: Trial) -> tuple[Raw, str]:
        recipe = Recipe("ExecuteTask", 1000 + place, own_id=True, structured=False, key="none", reply_to=REPLIES,
                        mutations=())  # fmt: skip
        body = {"taskId": f"fuzz:{now.run}-{place}", "taskVersion": definitions.VERSION, "inputs": trial.inputs}
        made = make(recipe, now.run, 1000 + place, _now())
        value = json.dumps(body).encode(errors="replace")
        return Raw(made.key, value, made.headers, made.timestamp), f"round {now.number}: execution of {trial}"

    def _send_batch(self, now: Round, records: list[tuple[Raw, str]]) -> list[tuple[Raw, str]]:
        """Send the first few, and give back the rest."""
        wanted, size, count = now.random.choice((1, 1, 2, 5, 20, 60)), 0, 0
        while count < min(wanted, len(records)) and (count == 0 or size + records[count][0].size < _BATCH_BYTES):
            size += records[count][0].size
            count += 1
        codec = now.random.choice(CODECS if size < _BATCH_BYTES else CODECS[1:])
        partition = now.random.randrange(PARTITIONS)
        chosen = records[:count]
        offset = self._connection.produce(COMMANDS, partition, batch([raw for raw, _ in chosen], codec))
        now.inputs[f"batch: {codec}"] += 1
        if offset == REFUSED:
            self._ledger.outcomes["refused by the broker"] += count
        else:
            for place, (raw, what) in enumerate(chosen):
                self._ledger.add((partition, offset + place), raw, f"{what} in a batch of {count}, {codec}")
        return records[count:]

    def _send_transactions(self, now: Round) -> None:
        for commits in (True, False, now.random.random() < 0.5):
            self._transactional.begin_transaction()
            for number in range(now.random.randrange(1, 6)):
                place = 2000 + len(self._ledger.sent) + len(self._ledger.aborted) + number
                recipe = Recipe("ExecuteTask", place, True, False, "execution", REPLIES, ())  # noqa: FBT003 - own_id, not structured
                self._send_one(make(recipe, now.run, place, _now()), f"round {now.number}: {recipe}", commits=commits)
            self._transactional.flush(20)
            time.sleep(now.random.choice((0.0, 0.0, 1.0)))  # it stays open: what comes after it must wait, not be lost
            if commits:
                self._transactional.commit_transaction(30)
            else:
                self._transactional.abort_transaction(30)
            now.inputs["transaction"] += 1

    def _send_one(self, raw: Raw, what: str, *, commits: bool) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None and commits:
                self._ledger.add((message.partition() or 0, message.offset() or 0), raw, what)
            elif error is None:
                self._ledger.aborted.append((raw, what))

        headers: Any = [(name.decode(), value) for name, value in raw.headers]
        self._transactional.produce(COMMANDS, raw.value, raw.key, headers=headers, on_delivery=delivered)

    def _ask(self, now: Round, call: http.Call) -> None:
        host = ":".join(map(str, self._address))
        method, request = http.build(call, now.run, host)
        self._check(now, f"{call}", method, request)
        if method == "GET" and "minPosition" not in call.path and all(which != "query" for _, which, _ in call.mutations):
            self._compare_head(f"{call}", request)

    def _babble(self, now: Round, name: str, size: int) -> None:
        self._check(now, f"malformed: {name} ({size})", "GET", http.MALFORMED[name](size), patience=3.0)

    def _check(self, now: Round, what: str, method: str, request: bytes, *, patience: float | None = None) -> None:
        try:
            found, seconds = answers.timed(self._address, method, request, patience or answers.PATIENCE_SECONDS)
        except (OSError, ValueError) as error:
            self._ledger.blame("HTTP", f"{error!r} to round {now.number} {what}")
            return
        with _lock:
            now.inputs["HTTP request"] += 1
            self.slowest = max(self.slowest, seconds)
            if not found and patience is None:
                self._ledger.blame("HTTP: no answer", f"after {seconds:.1f} s to round {now.number} {what}")
            for answer in found:
                self.answered[f"HTTP {answer.status}"] += 1
                if flaw := answers.flaw_of(answer, self._codes):
                    self._ledger.blame("HTTP", f"{flaw} to round {now.number} {what}")

    def _compare_head(self, what: str, request: bytes) -> None:
        told = [answers.timed(self._address, method, head + request.removeprefix(b"GET"), answers.PATIENCE_SECONDS)[0]
                for method, head in (("GET", b"GET"), ("HEAD", b"HEAD"))]  # fmt: skip
        get, head = ([(answer.status, answer.content_type) for answer in found] for found in told)
        if get != head and 503 not in {status for status, _ in get + head}:
            self._ledger.blame("HTTP: HEAD is not as GET", f"{head}, not {get}, to {what}")


_lock: Final = threading.Lock()


def _now() -> int:
    return time.time_ns() // 1_000_000

