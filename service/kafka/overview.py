"""What the topics of an installation are like, beside what they must be; nothing is changed."""

from dataclasses import dataclass, replace
from typing import Final

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from service.contracts.topics import COMMANDS_TOPIC, TOPICS, Topic
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import knock
from service.kafka.provisioning import REQUEST_MS, partition_counts, setting_differences, topic_configs

_NONE_COMMITTED: Final = -1
_PATIENCE_SECONDS: Final = 10.0
_COORDINATOR_MOVES: Final = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is; `topic.name` is Kafka's. One that is missing has no partitions, and nothing else."""

    topic: Topic
    partitions: int = 0
    messages: int = 0
    """From the first offset to the last one: less where transactions end, and where a compacted topic was cleaned."""
    policy: str | None = None
    retention_ms: int | None = None
    """None: for ever, or as long as the policy says."""
    behind: int | None = None
    """How many messages of the commands topic the handlers have not handled; of the others, None."""
    differences: tuple[str, ...] = ()
    """What is not as it must be, and what to do."""


async def topic_states(kafka: Kafka) -> list[TopicState]:
    """All topics of the installation.

    Raises:
        KafkaRefusedError: our name, password, token or certificate is not good, or Kafka's is not.
        KafkaError: Kafka does not answer.
    """
    topics = [replace(topic, name=kafka.topic(topic.name)) for topic in TOPICS]
    await knock(kafka)
    admin = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        existing = await admin.list_topics()
        there = [topic for topic in topics if topic.name in existing]
        counts = await partition_counts(admin, there) if there else {}
        configs = await topic_configs(admin, there) if there else {}
        handled = await _handled(admin, kafka.group) if there else {}
    finally:
        await admin.close()
    offsets = await _offsets(kafka, counts)
    return [
        _state(topic, kafka, configs[topic.name], offsets[topic.name], handled) if topic in there else TopicState(topic)
        for topic in topics
    ]


async def _handled(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """The next offset of each partition for this group; of a broker that has just begun, later."""
    async for attempt in stamina.retry_context(on=_COORDINATOR_MOVES, timeout=_PATIENCE_SECONDS):
        with attempt:
            committed = await admin.list_consumer_group_offsets(group)
    return {place: metadata.offset for place, metadata in committed.items()}


async def _offsets(kafka: Kafka, counts: dict[str, int]) -> dict[str, dict[TopicPartition, tuple[int, int]]]:
    """The first and the next offset of each partition, by topic."""
    partitions = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    if not partitions:
        return {}
    async with AIOKafkaConsumer(**kafka.options(), isolation_level="read_committed") as consumer:
        first, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {name: {one: (first[one], end[one]) for one in partitions if one.topic == name} for name in counts}


def _state(
    topic: Topic,
    kafka: Kafka,
    config: dict[str, str],
    offsets: dict[TopicPartition, tuple[int, int]],
    handled: dict[TopicPartition, int],
) -> TopicState:
    behind = None
    if topic.name == kafka.topic(COMMANDS_TOPIC):
        behind = sum(end - max(first, handled.get(place, _NONE_COMMITTED)) for place, (first, end) in offsets.items())
    policy, retention = config.get("cleanup.policy"), int(config.get("retention.ms", "-1"))
    return TopicState(
        topic,
        len(offsets),
        sum(end - first for first, end in offsets.values()),
        policy,
        None if retention < 0 or policy == "compact" else retention,
        behind,
        tuple(setting_differences(topic, config, kafka.servers)),
    )
