"""The broker as the measurements use it: fill, empty, follow. All with librdkafka, which is not what is measured."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import stamina
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.workload import DEFINITION, Written
from service.contracts.topics import (
    COMMANDS_TOPIC,
    DEFINITIONS_TOPIC,
    EVENTS_TOPIC,
    HANDLER_GROUP,
    INSTALLATION_TOPIC,
    REJECTIONS_TOPIC,
    REPLIES_TOPIC,
    STATE_TOPIC,
    TOPICS,
)

PARTITIONS: Final = int(os.environ.get("BENCH_PARTITIONS", "8"))
"""How many the owned topics have. The peers' have 8."""

_OUTPUTS: Final = (INSTALLATION_TOPIC, EVENTS_TOPIC, STATE_TOPIC, REJECTIONS_TOPIC, REPLIES_TOPIC)
_GONE: Final = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND}
_SECONDS: Final = 30.0
_CRITICAL: Final = 2
"""Syslog's number: that the broker has gone at the end need not be told."""


@dataclass(frozen=True)
class Cluster:
    """The service's topics on one broker."""

    servers: str

    @property
    def _config(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.servers, "log_level": _CRITICAL}

    def producer(self, **config: object) -> Producer:
        """A producer that places keys as Java does."""
        return Producer({**self._config, "partitioner": "murmur2_random", **config})

    def consumer(self, **config: object) -> Consumer:
        """A consumer that commits nothing."""
        return Consumer({**self._config, "group.id": "bench", "enable.auto.commit": False, **config})

    def empty(self, *, commands: bool) -> None:
        """Forget all that handlers have written, and the group's offsets; `commands` too if so asked."""
        admin = AdminClient(self._config)
        doomed = [*_OUTPUTS, *([COMMANDS_TOPIC] if commands else [])]
        _deleted(admin.delete_topics(doomed))
        for attempt in stamina.retry_context(on=KafkaException, timeout=_SECONDS):  # the coordinator may be loading
            with attempt:
                _deleted(admin.delete_consumer_groups([HANDLER_GROUP]))
        existing = admin.list_topics(timeout=_SECONDS).topics
        missing = [topic for topic in TOPICS if topic.name not in existing or topic.name in doomed]
        new = [NewTopic(t.name, PARTITIONS if t.owned else 1, 1, config=t.config | t.initial) for t in missing]
        for future in admin.create_topics(new, operation_timeout=_SECONDS).values():
            future.result()

    def publish_definition(self) -> None:
        """Publish the definition that all commands name."""
        key = f"{DEFINITION['taskId']}@{DEFINITION['version']}".encode()
        producer = self.producer()
        producer.produce(DEFINITIONS_TOPIC, json.dumps(DEFINITION).encode(), key)
        producer.flush()

    def fill(self, commands: Iterable[Written]) -> int:
        """Write commands as fast as possible; returns their number once the broker has them all."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                failures.append(error)

        # Idempotent: else a retry may change the order, and a Succeed comes before its Start.
        producer = self.producer(
            **{
                "enable.idempotence": True,
                "linger.ms": 20,
                "batch.size": 1 << 20,
                "queue.buffering.max.messages": 200_000,
            }
        )
        count = 0
        for key, value, headers in commands:
            while True:
                try:
                    producer.produce(COMMANDS_TOPIC, value, key, headers=headers, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.05)
            producer.poll(0)
            count += 1
        producer.flush()
        if failures:
            raise KafkaException(failures[0])
        return count

    def follower(self) -> Consumer:
        """For `committed`. Reading committed offsets only, it would wait for a moment without transactions."""
        return self.consumer(**{"group.id": HANDLER_GROUP, "isolation.level": "read_uncommitted"})

    def committed(self, follower: Consumer) -> int:
        """How many commands the handlers have handled: nothing but commands stands in their topic."""
        places = [TopicPartition(COMMANDS_TOPIC, number) for number in range(PARTITIONS)]
        return sum(max(0, place.offset) for place in follower.committed(places, timeout=_SECONDS))

    def event_reader(self, **config: object) -> Consumer:
        """A read_committed consumer of all events from now on."""
        consumer = self.consumer(**{"isolation.level": "read_committed", "fetch.wait.max.ms": 5, **config})
        ends = [
            consumer.get_watermark_offsets(TopicPartition(EVENTS_TOPIC, p), timeout=10)[1] for p in range(PARTITIONS)
        ]
        consumer.assign([TopicPartition(EVENTS_TOPIC, p, end) for p, end in enumerate(ends)])
        return consumer

    def count_events(self) -> int:
        """How many events are committed."""
        consumer = self.consumer(**{"isolation.level": "read_committed", "enable.partition.eof": True})
        consumer.assign([TopicPartition(EVENTS_TOPIC, p, 0) for p in range(PARTITIONS)])
        ended: set[int] = set()
        count, deadline = 0, time.monotonic() + 2 * _SECONDS
        while len(ended) < PARTITIONS and time.monotonic() < deadline:
            messages: list[Any] = consumer.consume(5000, 0.5)  # the library's types allow None everywhere
            for message in messages:
                if message.error() is None:
                    count += 1
                else:
                    ended.add(message.partition())
        consumer.close()
        return count


def _deleted(futures: Mapping[str, Future[None]]) -> None:
    for future in futures.values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() not in _GONE:
                raise
