"""Reads the service's topics on and on, committed records only, whatever is in them."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

PARTITIONS: Final = 4
"""Of the owned topics of `taskexec up`."""

COMMANDS: Final = "task-execution.commands"
EVENTS: Final = "task-execution.events"
REJECTIONS: Final = "task-execution.rejections"
_QUIET: Final = 2


@dataclass(frozen=True)
class Read:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    all_headers: list[tuple[str, bytes | None]] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset."""
        return self.partition, self.offset

    @property
    def headers(self) -> dict[str, bytes]:
        """Headers by name."""
        return {name: value or b"" for name, value in self.all_headers}

    def text(self, header: str) -> str:
        """The header's text; empty where it is absent."""
        return self.headers.get(header, b"").decode(errors="replace")


class Follower:
    """Reads one topic from where it stood, again and again."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._topic, self._partitions = topic, partitions
        self._consumer = Consumer({
            "bootstrap.servers": servers, "group.id": "fuzz-reader", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
            "fetch.message.max.bytes": 8 << 20, "queued.max.messages.kbytes": 65_536, "fetch.wait.max.ms": 20,
            "log_level": _QUIET,
        })  # fmt: skip
        self._next = dict.fromkeys(range(partitions), 0)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def read(self, known: Container[tuple[int, int]] = ()) -> list[Read]:
        """Everything committed that it has not read yet, up to the end as of now.

        The headers of those at `known` places are not read: the library fails on names that are not UTF-8.
        """
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in self._next.items()])
        found: list[Read] = []
        ended: set[int] = set()
        while len(ended) < self._partitions:
            messages: list[Any] = self._consumer.consume(500, 0.1)  # the library's types allow None everywhere
            for message in messages:
                error = message.error()
                if error is None:
                    read = Read(message.topic(), message.partition(), message.offset(), message.key(), message.value())
                    if read.place not in known:
                        read.all_headers.extend(message.headers() or [])
                    found.append(read)
                    self._next[read.partition] = read.offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                elif not error.retriable():
                    raise KafkaException(error)
        return found
