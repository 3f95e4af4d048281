"""Makes the service's topics, or checks that those which exist are as they must be."""

from dataclasses import replace
from typing import Any, Final

import stamina
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from service.contracts.topics import TOPICS, Topic
from service.kafka.connection import Kafka
from service.kafka.internals.knocking import KafkaRefusedError, knock

_PATIENCE_SECONDS: Final = 60.0
REQUEST_MS: Final = 10_000
FORBIDDEN: Final = (ClusterAuthorizationFailedError, TopicAuthorizationFailedError)

log = structlog.get_logger(__name__)


class ProvisioningError(Exception):
    """The topics are not as the service needs them; the message lists every difference and what to do."""


async def ensure_topics(
    kafka: Kafka, partitions: int, replication_factor: int = 1, patience: float = _PATIENCE_SECONDS
) -> int:
    """Create every topic that is missing, check the others; on return each has its leaders.

    `partitions` is for the owned topics: each execution's owner is computed from it, so it can never change. Their
    own count is its record. Several processes may call this at once. Kafka may still be starting: it is asked again
    for `patience` seconds, which the log tells once.

    Returns:
        The partition count of the owned topics.

    Raises:
        ConnectionError: Kafka did not answer, or refused, for that long; at once where it refuses us.
        ProvisioningError: an existing topic differs.
    """
    told = False

    def passes(error: Exception) -> bool:
        nonlocal told
        if not may_pass(error):
            return False
        if not told:
            told = True
            log.warning("kafka_awaited", address=kafka.servers, error=repr(error), seconds=patience)
        return True

    try:
        async for attempt in stamina.retry_context(on=passes, attempts=None, timeout=patience, wait_max=2.0):
            with attempt:
                await _ensure(kafka, partitions, replication_factor)
    except KafkaRefusedError:
        raise
    except FORBIDDEN as error:
        raise KafkaRefusedError(
            f"Kafka at {kafka.servers} does not let us have our topics: {error}. docs/kafka.md lists the rights.",
            for_good=True,
        ) from error
    except (KafkaError, OSError) as error:
        raise ConnectionError(
            f"Kafka at {kafka.servers} can't be used ({error!r}). Start it, or set KAFKA_BOOTSTRAP_SERVERS; "
            "`taskexec up` brings a broker of its own."
        ) from error
    return partitions


def may_pass(error: BaseException) -> bool:
    """Whether trying again can help."""
    if isinstance(error, KafkaRefusedError):
        return not error.for_good
    return isinstance(error, KafkaError | OSError) and not isinstance(error, FORBIDDEN)


async def _ensure(kafka: Kafka, partitions: int, replication_factor: int) -> None:
    topics = [replace(topic, name=kafka.topic(topic.name)) for topic in TOPICS]
    await knock(kafka)
    admin = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        existing = await admin.list_topics()
        if missing := [topic for topic in topics if topic.name not in existing]:
            await create(admin, missing, partitions, replication_factor)
        counts = await partition_counts(admin, topics)
        configs = await topic_configs(admin, topics)
    finally:
        await admin.close()
    if differences := _differences(topics, counts, configs, partitions, kafka.servers):
        raise ProvisioningError("Kafka's topics are not as the service needs them:\n- " + "\n- ".join(differences))


async def create(admin: AIOKafkaAdminClient, topics: list[Topic], partitions: int, replication_factor: int) -> None:
    """Make these topics, but for those that are there by now; `partitions` is for the owned ones.

    Raises:
        KafkaError: one cannot be made.
    """
    new = [
        NewTopic(
            topic.name, partitions if topic.owned else 1, replication_factor, topic_configs=topic.config | topic.initial
        )
        for topic in topics
    ]
    response: Any = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another process was faster
            raise error(f"{name}: {message}")


async def partition_counts(admin: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, int]:
    """How many partitions each topic has.

    Raises:
        KafkaError: a topic is not known to all yet, or has partitions without a leader; that passes.
    """
    counts = {}
    for described in await admin.describe_topics([topic.name for topic in topics]):
        for part in (described, *described["partitions"]):
            if part["error_code"]:
                raise for_code(part["error_code"])(f"{described['topic']}: {part}")
        counts[described["topic"]] = len(described["partitions"])
    return counts


async def topic_configs(admin: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    """The settings of each topic.

    Raises:
        KafkaError: a topic is not known to all yet.
    """
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, None) for topic in topics]
    responses: list[Any] = await admin.describe_configs(resources)
    configs = {}
    for code, message, _, name, entries in (item for response in responses for item in response.resources):
        if code:
            raise for_code(code)(f"{name}: {message}")
        configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


def _differences(
    topics: list[Topic], counts: dict[str, int], configs: dict[str, dict[str, str]], partitions: int, servers: str
) -> list[str]:
    differences = [
        f"{topic.name} has {counts[topic.name]} partitions, and {partitions} are configured. If it was made with so "
        f"many, set TASKEXEC_PARTITIONS={counts[topic.name]}; if somebody has added partitions since, see "
        "docs/operations.md"
        for topic in topics
        if topic.owned and counts[topic.name] != partitions
    ]
    return differences + [one for topic in topics for one in setting_differences(topic, configs[topic.name], servers)]


def setting_differences(topic: Topic, config: dict[str, str], servers: str) -> list[str]:
    """Which settings are not as they must be, and what to do."""
    command = f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic.name}"
    return [
        f"{topic.name}: {key} is {found} and must be {wanted}: {command} --add-config {key}={wanted}"
        for key, wanted in topic.config.items()
        if (found := config.get(key)) != wanted
    ]
