"""Reads the topics as any consumer does: what is committed, up to the end as of now, and how the offsets stand."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
)
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.admin._listoffsets import OffsetSpec

from service.contracts.topics import COMMANDS_TOPIC, HANDLER_GROUP, REPLIES_TOPIC, TOPICS

_SECONDS: Final = 30.0
REPLY_TOPICS: Final = (REPLIES_TOPIC, *(f"{REPLIES_TOPIC}.chaos-{number}" for number in range(3)))
"""The service's, and some that are the client's own."""

QUIET: Final = 2
"""Syslog's number: the broker is killed on purpose, librdkafka need not tell."""


class Read(NamedTuple):
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset."""
        return self.partition, self.offset

    def text(self, header: str) -> str:
        """The header's text; empty where it is absent."""
        return self.headers.get(header, b"").decode(errors="replace")


class Topics:
    """The service's topics, of which the owned ones have so many partitions."""

    def __init__(self, servers: str, partitions: int) -> None:
        self._partitions = partitions
        self._config: dict[str, Any] = {"bootstrap.servers": servers, "log_level": QUIET}
        self._counts = dict.fromkeys(REPLY_TOPICS, 1)
        self._counts |= {topic.name: partitions if topic.owned else 1 for topic in TOPICS}

    def create_own(self, replicas: int) -> None:
        """Make the client's own reply topics."""
        own = [NewTopic(name, 1, replicas) for name in REPLY_TOPICS[1:]]
        admin = self._admin()
        for future in admin.create_topics(own).values():
            future.result(_SECONDS)

    def _admin(self) -> AdminClient:
        # A new one each time: after a crash of the broker, an old one may wait for the group's coordinator for ever.
        # It must be held until its futures are done.
        return AdminClient(self._config)

    def read(self, topic: str, begin: dict[int, int] | None = None) -> Iterator[Read]:
        """All that is committed, from the offsets in `begin` (or the start) to the end as of now."""
        numbers = range(self._counts[topic])
        consumer = Consumer({
            **self._config, "group.id": "chaos-checker", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
        })  # fmt: skip
        consumer.assign([Place(topic, number, (begin or {}).get(number, 0)) for number in numbers])
        try:
            yield from _to_the_end(consumer, topic, len(numbers))
        finally:
            consumer.close()

    def ends(self, isolation: IsolationLevel) -> dict[tuple[str, int], int]:
        """The end of every partition: the last stable offset, or the high watermark with open transactions."""
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's own
        wanted = {Place(name, number): latest for name, count in self._counts.items() for number in range(count)}
        admin = self._admin()
        futures = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=_SECONDS)
        return {(place.topic, place.partition): future.result().offset for place, future in futures.items()}

    def open_transactions(self) -> list[str]:
        """The partitions on which a transaction is open."""
        stable = self.ends(IsolationLevel.READ_COMMITTED)
        ends = self.ends(IsolationLevel.READ_UNCOMMITTED)
        return [
            f"{topic}/{number}: {stable[topic, number]} of {end}"
            for (topic, number), end in ends.items()
            if stable[topic, number] != end
        ]

    def committed(self) -> dict[int, int]:
        """The handlers' offsets; 0 where there is none."""
        groups = [ConsumerGroupTopicPartitions(HANDLER_GROUP)]
        admin = self._admin()
        (future,) = admin.list_consumer_group_offsets(groups, require_stable=True).values()
        offsets = {place.partition: max(place.offset, 0) for place in future.result(_SECONDS).topic_partitions or ()}
        return {number: offsets.get(number, 0) for number in range(self._partitions)}

    def members(self) -> int:
        """How many handlers the group has while it is stable; 0 while it is not."""
        admin = self._admin()
        (future,) = admin.describe_consumer_groups([HANDLER_GROUP]).values()
        group = future.result(_SECONDS)
        return len(group.members) if group.state is ConsumerGroupState.STABLE else 0

    def settled(self) -> bool:
        """Whether no command is unhandled and no transaction open."""
        # In this order: whatever the handled commands forward is committed, and visible once nothing is open.
        committed = self.committed()
        return not self.open_transactions() and next(iter(self.read(COMMANDS_TOPIC, committed)), None) is None


def _to_the_end(consumer: Consumer, topic: str, partitions: int) -> Iterator[Read]:
    ended: set[int] = set()
    while len(ended) < partitions:
        messages: list[Any] = consumer.consume(5000, 1)  # the library's types allow None everywhere
        for message in messages:
            error = message.error()
            if error is None:
                # The first of a repeated header, as nothing valid repeats one.
                headers = {name.lower(): value or b"" for name, value in reversed(message.headers() or [])}
                at = message.timestamp()[1] / 1000
                yield Read(topic, message.partition(), message.offset(), at, message.key(), message.value(), headers)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            elif not error.retriable():
                raise KafkaException(error)
