"""Makes the service's topics, or checks that those which exist are as they must be."""

from typing import Any

import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from service.contracts.topics import STATE, TOPICS, Topic

_START_SECONDS = 60.0


class ProvisioningError(Exception):
    """The topics are not as the service needs them; the message lists every difference and what to do."""


async def ensure_topics(
    bootstrap_servers: str, partitions: int, replication_factor: int = 1, timeout: float = _START_SECONDS
) -> int:
    """Create every topic that is missing, check the others; several processes may do so at once.

    `partitions` is for the owned topics: each execution's owner is computed from it, so it can never change. Their
    own count is its record.

    Returns:
        The partition count of the owned topics.

    Raises:
        ConnectionError: Kafka does not answer within `timeout` seconds.
        ProvisioningError: an existing topic differs.
    """
    try:
        async for attempt in stamina.retry_context(
            on=(KafkaError, OSError), attempts=None, timeout=timeout, wait_max=2.0
        ):
            with attempt:
                return await _ensure(bootstrap_servers, partitions, replication_factor)
    except (KafkaError, OSError) as error:
        raise ConnectionError(
            f"Kafka does not answer at {bootstrap_servers} ({error!r}). Start it, or set KAFKA_BOOTSTRAP_SERVERS; "
            "`taskexec up` brings a broker of its own."
        ) from error
    raise AssertionError  # pragma: no cover - the loop returns or raises


async def _ensure(bootstrap_servers: str, partitions: int, replication_factor: int) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in existing]
        if missing:
            await _create(admin, missing, partitions, replication_factor)
        differences = await _differences(admin, partitions)
    finally:
        await admin.close()
    if differences:
        raise ProvisioningError(
            "Kafka's topics are not as the service needs them:\n- "
            + "\n- ".join(differences)
            + "\nSet the configs with "
            "kafka-configs --alter. A partition count cannot be changed once there are executions: set "
            "TASKEXEC_PARTITIONS to what exists."
        )
    return partitions


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic], partitions: int, replication_factor: int) -> None:
    new = [
        NewTopic(topic.name, partitions if topic.owned else 1, replication_factor, topic_configs=topic.config)
        for topic in topics
    ]
    response: Any = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"{name}: {message}")


async def _differences(admin: AIOKafkaAdminClient, partitions: int) -> list[str]:
    """What differs; raises a retriable KafkaError while a topic has no leaders yet."""
    differences = []
    for described in await admin.describe_topics([topic.name for topic in TOPICS]):
        name = described["topic"]
        if described["error_code"]:
            raise for_code(described["error_code"])(name)
        for partition in described["partitions"]:
            if partition["error_code"]:
                raise for_code(partition["error_code"])(f"{name}/{partition['partition']}")
        topic = next(topic for topic in TOPICS if topic.name == name)
        count = len(described["partitions"])
        if topic.owned and count != partitions:
            what = "the one that the executions' states were kept by" if name == STATE else "the one of the topic"
            differences.append(f"{name} has {count} partitions ({what}), but {partitions} are configured")
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, None) for topic in TOPICS]
    actual: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _type, name, entries in response.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            actual[name] = {entry[0]: entry[1] for entry in entries}
    for topic in TOPICS:
        for key, wanted in topic.config.items():
            if (found := actual[topic.name].get(key)) != wanted:
                differences.append(f"{topic.name}: {key} is {found}, must be {wanted}")
    return differences
