"""What Kafka says of topics, asked by their names: aiokafka's own question is after all topics of the cluster."""

import asyncio
from collections.abc import Iterable
from random import sample
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

_SECONDS: Final = 2.0
"""Then another broker is asked."""

_MIN_IN_SYNC: Final = "min.insync.replicas"
_TOPIC: Final = 2
"""The number of this kind of resource."""


class Word(NamedTuple):
    """Why a topic cannot be written, and whether that passes by itself."""

    flaw: str
    passes: bool


_WORDS: Final = {
    UnknownTopicOrPartitionError: Word("the topic does not exist", passes=False),
    InvalidTopicError: Word("the topic does not exist", passes=False),
    TopicAuthorizationFailedError: Word("the service may not use the topic", passes=False),
}


async def words_on(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> dict[str, Word]:
    """What is wrong with some of these topics, by name. To ask makes none.

    Raises:
        KafkaError: no broker answers.
    """
    client = consumer._client  # noqa: SLF001 - there is no public question after some topics
    words = {}
    for code, topic, _, partitions in (await _ask(client, _metadata_of(topics))).topics:
        word = _WORDS.get(for_code(code)) or await _word_on_partitions(client, topic, partitions)
        if word is not None:
            words[topic] = word
    return words


def _metadata_of(topics: Iterable[str]) -> MetadataRequest:
    return MetadataRequest(list(topics), allow_auto_topic_creation=False)


async def _word_on_partitions(client: AIOKafkaClient, topic: str, partitions: list[Any]) -> Word | None:
    needed = None
    for _, partition, leader, replicas, in_sync, *_ in partitions:
        if leader < 0:
            return Word(f"its partition {partition} has no leader", passes=True)
        if len(in_sync) < len(replicas):
            needed = needed or await _least_in_sync(client, topic)
            least = min(needed, len(replicas))
            if len(in_sync) < least:
                return Word(f"its partition {partition} has {len(in_sync)} of {least} replicas in sync", passes=True)
    return None


async def _least_in_sync(client: AIOKafkaClient, topic: str) -> int:
    """1 where we may not know."""
    answer = await _ask(client, DescribeConfigsRequest([(_TOPIC, topic, [_MIN_IN_SYNC])]))
    return max([int(value) for *_, entries in answer.resources for _, value, *_ in entries], default=1)


async def _ask(client: AIOKafkaClient, request: Any) -> Any:  # noqa: ANN401 - aiokafka's requests have no types
    failure: KafkaError = KafkaConnectionError("no broker is known")
    brokers = client.cluster.brokers()
    for broker in sample(list(brokers), len(brokers)):
        try:
            async with asyncio.timeout(_SECONDS):
                # Not the connection of the fetches: a question waits behind one there.
                return await client.send(broker.nodeId, request, group=ConnectionGroup.COORDINATION)
        except KafkaError as error:
            failure = error
        except TimeoutError:
            failure = KafkaConnectionError(f"broker {broker.nodeId} does not answer")
    raise failure
