"""Sends what a round holds for Kafka: definitions, batches of commands, transactions."""

import json
import time
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from tests.fuzz import definitions
from tests.fuzz.commands import REPLIES, Recipe, make
from tests.fuzz.definitions import Trial
from tests.fuzz.ledger import Ledger
from tests.fuzz.round import Round
from tests.fuzz.topics import COMMANDS, PARTITIONS
from tests.fuzz.wire import CODECS, REFUSED, Connection, Raw, batch

_BATCH_BYTES: Final = 900_000
_BOMB_BYTES: Final = (5_000_000, 20_000_000, 60_000_000)
_SWARM: Final = 5_000
_MANY: Final = 20
_SELDOM: Final = 0.2


class Sending:
    """Sends rounds to the broker at `servers`, and notes in the ledger what it takes."""

    def __init__(self, servers: str, ledger: Ledger) -> None:
        self._connection, self._ledger = Connection(servers, 60), ledger
        self._transactional = Producer({
            "bootstrap.servers": servers, "transactional.id": "fuzz", "log_level": 2, "partitioner": "murmur2_random",
            "transaction.timeout.ms": 60_000,
        })  # fmt: skip
        self._transactional.init_transactions(30)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def define(self) -> None:
        """Publish the sound definition."""
        sound = definitions.SOUND
        self._publish(f"{sound['taskId']}@{sound['version']}".encode(), json.dumps(sound).encode(), [])

    def send(self, now: Round) -> None:
        """Everything in the round that goes over Kafka."""
        self._define(now)
        self._send_commands(now)
        if "transactions" not in now.without:
            self._send_transactions(now)

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
        for place, trial in enumerate(now.trials):
            records += [self._trial(now, place, trial, 100 * place)]
            if trial.kind == "large default":
                records += [self._trial(now, place, trial, 100 * place + number) for number in range(1, _MANY)]
        if "bomb" not in now.without and now.random.random() < _SELDOM:
            size = now.random.choice(_BOMB_BYTES)
            records.append((Raw(None, b" " * size, ((b"ce_type", b"x"),), _now()), f"bomb of {size} bytes"))
            now.inputs["bomb"] += 1
        while records:
            records = self._send_batch(now, records)
        if "swarm" not in now.without and now.random.random() < _SELDOM:
            tiny = [(Raw(None, b"{}", (), 0), f"round {now.number}: swarm")] * _SWARM
            now.inputs["swarm"] += 1
            self._send_batch(now, tiny, _SWARM)

    def _trial(self, now: Round, place: int, trial: Trial, number: int) -> tuple[Raw, str]:
        """An execution by the definition; the first has the input that shall meet it."""
        recipe, inputs = Recipe("ExecuteTask", 5000 + number, "none", REPLIES), {} if number % 100 else trial.inputs
        body = {"taskId": f"fuzz:{now.run}-{place}", "taskVersion": definitions.VERSION, "inputs": inputs}
        made = make(recipe, now.run, 5000 + number, _now())
        value = json.dumps(body).encode(errors="replace")
        return Raw(made.key, value, made.headers, made.timestamp), f"round {now.number}: execution of {trial}"

    def _send_batch(self, now: Round, records: list[tuple[Raw, str]], most: int | None = None) -> list[tuple[Raw, str]]:
        """Send the first few, or as many as are wanted, and give back the rest."""
        wanted, size, count = most or now.random.choice((1, 1, 2, 5, 20, 60)), 0, 0
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
        for place, commits in enumerate((True, False, now.random.random() < 0.5)):
            self._transactional.begin_transaction()
            for number in range(now.random.randrange(1, 6)):
                target = 2000 + 10 * place + number
                recipe = Recipe("ExecuteTask", target, "execution", REPLIES)
                self._send_one(make(recipe, now.run, target, _now()), f"round {now.number}: {recipe}", commits=commits)
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


def _now() -> int:
    return time.time_ns() // 1_000_000
