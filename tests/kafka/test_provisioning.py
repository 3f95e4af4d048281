import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from structlog.testing import capture_logs

from service.contracts.topics import DEFINITIONS_TOPIC, EVENTS_TOPIC, REPLIES_TOPIC, STATE_TOPIC, TOPICS
from service.embedded.broker import EmbeddedBroker
from service.embedded.ports import free_port
from service.kafka.connection import Kafka
from service.kafka.provisioning import ProvisioningError, ensure_topics


@pytest_asyncio.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A broker of its own: other tests need the topics that these tests delete."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), port=0) as broker:
        yield broker.bootstrap_servers


@pytest_asyncio.fixture
async def admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    yield admin
    await admin.close()


@pytest_asyncio.fixture
async def empty(admin: AIOKafkaAdminClient, address: str) -> str:
    """The address of a broker without topics of ours."""
    wanted = {topic.name for topic in TOPICS}
    async with asyncio.timeout(30):
        while existing := wanted & set(await admin.list_topics()):
            await admin.delete_topics(sorted(existing))
    return address


async def test_it_creates_every_topic_as_declared(admin: AIOKafkaAdminClient, empty: str) -> None:
    assert await ensure_topics(Kafka(empty), 4) == 4

    topics = {topic["topic"]: topic for topic in await admin.describe_topics([topic.name for topic in TOPICS])}
    assert {name: len(topic["partitions"]) for name, topic in topics.items()} == {
        "task-execution.commands": 4,
        "task-execution.events": 4,
        "task-execution.rejections": 4,
        "task-execution.state": 4,
        "task-execution.replies": 1,
        "task-execution.installation": 1,
        "task-execution.published-definitions": 1,
        "task-definitions": 1,
    }
    assert all(partition["leader"] == 1 for topic in topics.values() for partition in topic["partitions"])
    assert await configs(admin, EVENTS_TOPIC, "cleanup.policy", "retention.ms") == ["delete", "-1"]
    assert await configs(admin, STATE_TOPIC, "cleanup.policy", "max.message.bytes") == ["compact", "4194304"]
    assert await configs(admin, REPLIES_TOPIC, "cleanup.policy", "retention.ms") == ["delete", "86400000"]


async def test_it_accepts_what_it_created(empty: str) -> None:
    await ensure_topics(Kafka(empty), 2)
    assert await ensure_topics(Kafka(empty), 2) == 2


async def test_another_partition_count_is_refused(empty: str) -> None:
    await ensure_topics(Kafka(empty), 2)
    with pytest.raises(ProvisioningError) as refusal:
        await ensure_topics(Kafka(empty), 3)
    lines = str(refusal.value).splitlines()
    assert len(lines) == 5
    assert f"{STATE_TOPIC} has 2 partitions, and 3 are configured." in str(refusal.value)
    assert DEFINITIONS_TOPIC not in str(refusal.value)


async def test_every_difference_is_told_with_the_command_that_mends_it(admin: AIOKafkaAdminClient, empty: str) -> None:
    configs = {"retention.ms": "1000", "max.message.bytes": "100", "message.timestamp.after.max.ms": str(2**63 - 1)}
    short = NewTopic(EVENTS_TOPIC, 1, 1, topic_configs=configs)
    await admin.create_topics([short])
    with pytest.raises(ProvisioningError) as refusal:
        await ensure_topics(Kafka(empty), 1)
    head, *differences = str(refusal.value).splitlines()
    assert head == "Kafka's topics are not as the service needs them:"
    mend = f"kafka-configs.sh --bootstrap-server {empty} --alter --entity-type topics --entity-name {EVENTS_TOPIC}"
    assert differences == [
        f"- {EVENTS_TOPIC}: retention.ms is 1000 and must be -1: {mend} --add-config retention.ms=-1",
        f"- {EVENTS_TOPIC}: max.message.bytes is 100 and must be 4194304: "
        f"{mend} --add-config max.message.bytes=4194304",
    ]


async def test_processes_that_start_at_once_all_succeed(empty: str) -> None:
    code = f"""if True:
        import asyncio, sys
        from service.kafka.connection import Kafka
        from service.kafka.provisioning import ensure_topics
        sys.exit(asyncio.run(ensure_topics(Kafka("{empty}"), 7)))
    """
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", code) for _ in range(3)]
    assert [await process.wait() for process in processes] == [7] * 3, "the partition count, as the exit status"


async def test_a_broker_that_starts_late_is_waited_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("late"), port=0)
    waiting = asyncio.create_task(ensure_topics(Kafka(broker.bootstrap_servers), 1))
    async with broker:
        assert await waiting == 1


async def test_a_broker_that_never_answers_is_named() -> None:
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    refused = pytest.raises(ConnectionError, match=f"Kafka at {address} can't be used .* KAFKA_BOOTSTRAP_SERVERS")
    with capture_logs() as said, refused:
        await ensure_topics(Kafka(address), 1, patience=0.3)
    told = [line["address"] for line in said if line["event"] == "kafka_awaited"]
    assert told == [address], "once, not each time"


async def configs(admin: AIOKafkaAdminClient, topic: str, *names: str) -> list[str]:
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names, ""))
    response: Any
    (response,) = await admin.describe_configs([wanted])
    ((_, _, _, _, entries),) = response.resources
    found = {entry[0]: entry[1] for entry in entries}
    return [found[name] for name in names]
