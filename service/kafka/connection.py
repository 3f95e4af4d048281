"""Where Kafka is, how a client of ours reaches it, and what our things are called there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.contracts.topics import HANDLER_GROUP, REPLIES_TOPIC
from service.kafka.security import Security

NO_SECURITY: Final = Security()


def checked_prefix(prefix: str) -> str:
    """The prefix, if it can stand before the names of our topics.

    Raises:
        ValueError: no topic can have it, or it would make our topics reply topics of another installation.
    """
    if re.fullmatch(r"[A-Za-z0-9._-]{0,64}", prefix) is None or REPLIES_TOPIC in prefix:
        raise ValueError(
            f"'{prefix}' can't stand before the names of topics: give at most 64 letters, digits, dots, hyphens or "
            f"underscores, such as 'staging.', without '{REPLIES_TOPIC}' among them"
        )
    return prefix


@dataclass(frozen=True, slots=True)
class Kafka:
    """The Kafka of one installation: `servers` are its addresses, `host:port[,host:port…]`.

    Several installations share one Kafka by a `prefix` each: it stands before the names of their topics, of their group
    and of their producers. Our code names a topic as `contracts.topics` does; Kafka, records and clients have the name
    that `topic` gives. What is stored elsewhere has ours: it belongs to one installation already.

    Raises:
        ValueError: see `checked_prefix`.
    """

    servers: str
    prefix: str = ""
    security: Security = NO_SECURITY

    def __post_init__(self) -> None:
        checked_prefix(self.prefix)

    @classmethod
    def at(cls, where: "Self | str") -> "Self":
        """What is at these addresses, without a prefix, if they are all that is given."""
        return cls(where) if isinstance(where, str) else where

    def options(self) -> dict[str, Any]:
        """What each of aiokafka's clients must be given to connect. It holds secrets: let nobody keep or show it.

        Raises:
            CredentialsError: a file that is needed for it cannot be used.
        """
        return {"bootstrap_servers": self.servers} | self.security.options()

    @property
    def group(self) -> str:
        """The consumer group of the command handlers."""
        return self.prefix + HANDLER_GROUP

    def transactional_id(self, partition: int) -> str:
        """What fences all but one producer of this partition's owner."""
        return f"{self.group}.{partition}"

    def topic(self, name: str) -> str:
        """What Kafka calls the topic that we call so."""
        return self.prefix + name

    def partition(self, name: str, number: int) -> TopicPartition:
        """A partition, as Kafka calls it, of the topic that we call so."""
        return TopicPartition(self.topic(name), number)

    def our_name(self, topic: str) -> str:
        """What we call a topic of ours that Kafka calls so."""
        return topic.removeprefix(self.prefix)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """For who only goes on while Kafka answers.

        Raises:
            ConnectionError: in place of a KafkaError.
        """
        try:
            yield
        except KafkaError as error:
            raise ConnectionError(
                f"Kafka at {self.servers} does not answer any more: {error!r}. Start again."
            ) from error
