"""`taskexec topics`: what is in a real Kafka, beside what must be."""

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

from service.cli.main import app
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, TOPICS
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics


@pytest.fixture
def installation(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """One of its own, which has no topics yet."""
    prefix = f"cli-{uuid7()}."
    monkeypatch.setenv("TASKEXEC_PREFIX", prefix)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    return Kafka(kafka, prefix)


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["topics", *arguments])


async def test_topics_that_are_not_there_are_told_and_not_made(installation: Kafka) -> None:
    for _ in range(2):
        result = await run("-o", "json")
        assert result.exit_code == 1
        told: list[dict[str, Any]] = json.loads(result.stdout)
        assert [one["topic"] for one in told] == [installation.topic(topic.name) for topic in TOPICS]
        assert all("is not there" in one["flaws"][0] for one in told)


async def test_topics_are_shown_with_what_is_in_them_and_how_far_handlers_are_behind(installation: Kafka) -> None:
    await ensure_topics(installation, 2)
    async with AIOKafkaProducer(**installation.options()) as producer:
        for number in range(5):
            await producer.send_and_wait(installation.topic(COMMANDS_TOPIC), b"{}", b"%d" % number)

    result = await run()

    assert result.exit_code == 0, result.stderr
    header, commands, events, *others = [line.split() for line in result.stdout.splitlines()]
    assert header == ["TOPIC", "PARTITIONS", "MESSAGES", "POLICY", "KEPT", "BEHIND", "FOR"]
    assert commands[:7] == [installation.topic(COMMANDS_TOPIC), "2", "5", "delete", "7", "d", "5"]
    assert events[:6] == [installation.topic(EVENTS_TOPIC), "2", "0", "delete", "for", "ever"]
    assert len(others) == len(TOPICS) - 2


async def test_one_that_is_not_as_it_must_be_is_told_with_what_to_do(installation: Kafka) -> None:
    await ensure_topics(installation, 1)
    events = installation.topic(EVENTS_TOPIC)
    admin = AIOKafkaAdminClient(**installation.options())
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, events, {"retention.ms": "1000"})])
    await admin.close()

    result = await run()

    assert result.exit_code == 1
    assert f"{events}: retention.ms is 1000 and must be -1: kafka-configs.sh" in result.stderr


async def test_no_kafka_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    result = await run()
    assert (result.exit_code, result.stdout) == (3, "")
