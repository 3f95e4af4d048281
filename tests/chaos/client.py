"""The client: publishes definitions and commands with librdkafka, waits for no reply, gives nothing up."""

import json
import time
from dataclasses import dataclass, field
from heapq import heappop, heappush
from threading import Event, Thread
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from service.contracts.topics import COMMANDS_TOPIC, DEFINITIONS_TOPIC
from tests.chaos.drafts import Draft, definition
from tests.chaos.topics import QUIET, REPLY_TOPICS
from tests.chaos.workload import Workload

CORRELATION: Final = "correlation_id"

_TICK_SECONDS: Final = 0.01
_NEW_DEFINITION_SECONDS: Final = 2.0
_DELIVERY_SECONDS: Final = 120
_LINGER_SECONDS: Final = 12
"""So long after the end, families still have their commands in their time; then at once."""
_MANY: Final = 1_000_000
_FAMILY_EVERY: Final = 200
"""A family, of some fifty commands, for each so many others."""


def reply_topic(number: int) -> str:
    """Where the reply to the command with this correlation id has to go."""
    return REPLY_TOPICS[number % len(REPLY_TOPICS)]


@dataclass
class Client:
    """What was produced: `count` command records with correlation ids 0, 1, 2, …; `failures` says which were not."""

    servers: str
    workload: Workload
    rate: float
    count: int = 0
    failures: list[str] = field(default_factory=list)
    _stopping: Event = field(default_factory=Event)
    _producers: dict[bool, Producer] = field(default_factory=dict)
    _versions_sent: int = 0
    _extra: int = 0
    _timed: list[tuple[float, int, Draft]] = field(default_factory=list)
    _families: int = 0

    def __post_init__(self) -> None:
        """Make the thread."""
        self._thread = Thread(target=self._run, name="chaos-client")

    def start(self) -> None:
        """Publish at the rate, in a thread, until `finish`."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": _DELIVERY_SECONDS * 1000, "log_level": QUIET,
        }  # fmt: skip
        self._producers = {False: Producer(config), True: Producer({**config, "partitioner": "murmur2_random"})}
        self._thread.start()

    def burst(self, count: int) -> None:
        """Send so many commands more, at once: whoever handles them has his hands full."""
        self._extra += count

    def finish(self) -> None:
        """End the lives that have begun; return when Kafka has everything."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        self._define()
        self._flush()
        began = time.monotonic()
        while not self._stopping.wait(_TICK_SECONDS):
            elapsed = time.monotonic() - began
            if elapsed > self._versions_sent * _NEW_DEFINITION_SECONDS:
                self._define()
            while self.count < elapsed * self.rate + self._extra:
                self._send(self.workload.next())
            while self._families < elapsed * self.rate / _FAMILY_EVERY:
                self._begin_family(elapsed)
            while self._timed and self._timed[0][0] <= elapsed:
                self._send(heappop(self._timed)[-1])
            for producer in self._producers.values():
                producer.poll(0)
        stopped = time.monotonic()
        for draft in self.workload.rest():
            self._send(draft)
        while self._timed:
            pause = self._timed[0][0] - (time.monotonic() - began)
            if pause > 0 and time.monotonic() < stopped + _LINGER_SECONDS:
                time.sleep(pause)
            self._send(heappop(self._timed)[-1])
        self._flush()

    def _begin_family(self, now: float) -> None:
        self._families += 1
        for number, (after, draft) in enumerate(self.workload.family()):
            heappush(self._timed, (now + after, self._families * _MANY + number, draft))

    def _flush(self) -> None:
        for producer in self._producers.values():
            producer.flush(_DELIVERY_SECONDS)

    def _define(self) -> None:
        """Publish one more version; commands name it as soon as Kafka has it."""
        body = definition(self._versions_sent)
        self._versions_sent += 1
        key = f"{body['taskId']}@{body['version']}".encode()

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                self.failures.append(f"{key!r}: {error}")
            else:
                self.workload.versions += 1

        self._producers[False].produce(DEFINITIONS_TOPIC, json.dumps(body).encode(), key, on_delivery=delivered)

    def _send(self, draft: Draft) -> None:
        number = str(self.count)

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                self.failures.append(f"command {number}: {error}")

        headers: list[tuple[str, str | bytes | None]] = [*draft.headers]
        headers += [("reply_to", reply_topic(self.count).encode()), (CORRELATION, number.encode())]
        producer = self._producers[draft.like_java]
        producer.produce(COMMANDS_TOPIC, draft.value, draft.key, headers=headers, on_delivery=delivered)
        self.count += 1
