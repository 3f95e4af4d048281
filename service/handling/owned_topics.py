"""What a rebuild asks of, and does to, the topics and the group of an installation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    InvalidPartitionsError,
    NotCoordinatorForGroupError,
    UnknownTopicOrPartitionError,
    for_code,
)
from msgspec import Struct

from service.contracts.topics import STATE_TOPIC, TOPICS
from service.handling.whole_topics import RebuildError
from service.kafka.connection import Kafka

_SECONDS: Final = 30.0
_PAUSE: Final = 0.1
_COORDINATOR_MOVES: Final = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
_OWNED: Final = tuple(topic.name for topic in TOPICS if topic.owned)


class OwnedTopics(Struct):
    """The topics whose partitions have an owner each. Every method may raise a KafkaError."""

    kafka: Kafka
    admin: AIOKafkaAdminClient

    async def refuse_members(self) -> None:
        """Raise a RebuildError if handlers run."""
        answers: list[Any] = []
        async for attempt in stamina.retry_context(on=_COORDINATOR_MOVES, timeout=_SECONDS):
            with attempt:
                answers = await self.admin.describe_consumer_groups([self.kafka.group])
        if members := sum(len(group[5]) for answer in answers for group in answer.groups):
            raise RebuildError(f"{members} handlers are running. Stop them all, then begin again.")

    async def partition_counts(self) -> dict[str, int]:
        """Of each topic, by our name."""
        counts = {}
        for described in await self.admin.describe_topics([self.kafka.topic(name) for name in _OWNED]):
            if described["error_code"]:
                raise for_code(described["error_code"])(described["topic"])
            counts[self.kafka.our_name(described["topic"])] = len(described["partitions"])
        return counts

    async def delete_state(self) -> None:
        """Delete the state topic; returns when it is gone."""
        name = self.kafka.topic(STATE_TOPIC)
        answer: Any = await self.admin.delete_topics([name])
        for _, code in ((*entry,)[:2] for entry in answer.topic_error_codes):
            if code and for_code(code) is not UnknownTopicOrPartitionError:
                raise for_code(code)(name)
        async with _patience(f"Kafka does not delete {name}"):
            while name in await self.admin.list_topics():  # noqa: ASYNC110 - only the broker knows
                await asyncio.sleep(_PAUSE)

    async def add_partitions(self, partitions: int) -> None:
        """Bring all topics but the state to so many partitions; some may have them already."""
        names = [self.kafka.topic(name) for name in _OWNED if name != STATE_TOPIC]
        async with _patience(f"Kafka does not add partitions to {', '.join(names)}"):
            while short := await self._short(names, partitions):
                answer: Any = await self.admin.create_partitions({name: NewPartitions(partitions) for name in short})
                for name, code in ((*entry,)[:2] for entry in answer.topic_errors):
                    if code and for_code(code) is not InvalidPartitionsError:  # it has them, and not everybody knows
                        raise for_code(code)(name)
                await asyncio.sleep(_PAUSE)

    async def _short(self, names: list[str], partitions: int) -> list[str]:
        described = await self.admin.describe_topics(names)
        return [topic["topic"] for topic in described if len(topic["partitions"]) < partitions]


@asynccontextmanager
async def _patience(otherwise: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except TimeoutError as error:
        raise RebuildError(f"{otherwise}, for {_SECONDS:g} s by now.") from error


@asynccontextmanager
async def owned_topics(kafka: Kafka) -> AsyncIterator[OwnedTopics]:
    """Connected while the context is open."""
    admin = AIOKafkaAdminClient(**kafka.options())
    try:
        await admin.start()
        yield OwnedTopics(kafka, admin)
    finally:
        await admin.close()
