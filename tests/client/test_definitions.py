"""What is published is stored once and never changes, whoever else publishes at the same moment."""

import asyncio
import json
from typing import Any

import pytest
import stamina
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from uuid_utils.compat import uuid7

from service.client import PublishedAlreadyError, definitions, publish_definitions, read_versions
from service.contracts import topics
from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Variable, VariableType
from service.kafka.connection import Kafka


async def test_definitions_are_stored_under_their_keys(kafka: str) -> None:
    inputs = (Variable(name="day", type=VariableType.STRING, required=False, default_value="today"),)
    name = f"tests:{uuid7()}"
    written = [
        TaskDefinition(
            task_id=name, version=version, status=DefinitionStatus.PUBLISHED, type=TaskType.SQL, input_variables=inputs
        )
        for version in ("1.0.0", "1.1.0")
    ]
    await publish_definitions(kafka, written, source="/catalogue")
    consumer = AIOKafkaConsumer(topics.DEFINITIONS_TOPIC, bootstrap_servers=kafka, auto_offset_reset="earliest")
    found = []
    async with consumer:
        async for record in consumer:
            if record.key.startswith(name.encode()):
                found.append(record)
            if len(found) == len(written):
                break
    found.sort(key=lambda record: record.key)
    assert [record.key.decode() for record in found] == [item.key for item in written]
    assert [TaskDefinition.model_validate_json(record.value) for record in found] == written
    headers = dict(found[0].headers)
    assert (headers["ce_type"], headers["ce_source"]) == (b"TaskDefinitionPublished", b"/catalogue")
    assert headers["ce_subject"] == found[0].key


def definition(name: str, type_: str = "sql", **more: Any) -> TaskDefinition:
    body = {"taskId": name, "version": "1.0.0", "status": "PUBLISHED", "type": type_, **more}
    return TaskDefinition.model_validate(body)


@pytest.fixture
def name() -> str:
    return f"tests:{uuid7()}"


async def test_what_is_there_already_is_not_written_again(kafka: str, name: str) -> None:
    one, other = definition(name), definition(f"{name}-other")
    assert await publish_definitions(kafka, [one]) == [one]
    assert await publish_definitions(kafka, [one, other]) == [other]
    assert await publish_definitions(kafka, [one, other, one]) == []


async def test_if_one_would_change_none_is_written(kafka: str, name: str) -> None:
    one, other = definition(name), definition(f"{name}-other")
    await publish_definitions(kafka, [one])
    for given in (definition(name, "flink_sql"), definition(name, status="DRAFT")):
        with pytest.raises(
            PublishedAlreadyError, match=f"published already, with another body: {given.key}"
        ) as refused:
            await publish_definitions(kafka, [other, given])
        assert refused.value.conflicts == ((one, given),)
        assert refused.value.written == ()
    assert (await read_versions(kafka)).get(other.task_id, "1.0.0") is None


async def test_nor_if_both_are_given_at_once(kafka: str, name: str) -> None:
    with pytest.raises(PublishedAlreadyError):
        await publish_definitions(kafka, [definition(name), definition(name, "flink_sql")])
    assert (await read_versions(kafka)).get(name, "1.0.0") is None
    draft = definition(name, status="DRAFT")
    assert await publish_definitions(kafka, [draft, definition(name, "flink_sql")]) == [definition(name, "flink_sql")]


async def test_of_several_that_publish_at_the_same_moment_one_is_told_that_it_did(
    kafka: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = list(TaskType)
    all_have_read = asyncio.Barrier(len(types))
    write = definitions._write

    async def together(*arguments: Any) -> None:
        await all_have_read.wait()
        await write(*arguments)

    monkeypatch.setattr(definitions, "_write", together)
    also = [definition(f"{name}-{type_}") for type_ in types]
    outcomes = await asyncio.gather(
        *(publish_definitions(kafka, [definition(name, type_), also[place]]) for place, type_ in enumerate(types)),
        return_exceptions=True,
    )
    winners = [outcome[0].type for outcome in outcomes if isinstance(outcome, list)]
    versions = await read_versions(kafka)
    first = versions.get(name, "1.0.0")
    assert first
    assert winners == [first.type]
    for outcome, type_ in zip(outcomes, types, strict=True):
        if isinstance(outcome, PublishedAlreadyError):
            assert outcome.conflicts == ((first.source, definition(name, type_)),)
            assert len(outcome.written) == 2
    assert all(versions.get(one.task_id, "1.0.0") for one in also)


async def test_one_that_a_later_version_published_in_a_way_of_its_own_is_not_written_over(
    kafka: str, name: str
) -> None:
    later = {"taskId": name, "version": "1.0.0", "status": "PUBLISHED", "type": "of_a_later_version"}
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(topics.PUBLISHED_TOPIC, json.dumps(later).encode(), definition(name).key.encode())
    with pytest.raises(PublishedAlreadyError) as refused:
        await publish_definitions(kafka, [definition(name)])
    assert refused.value.conflicts == ((None, definition(name)),)


async def test_where_handlers_have_no_log_yet_the_topic_says_what_was_first(kafka: str, name: str) -> None:
    here = Kafka(kafka, prefix="old.")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        with pytest.raises(UnknownTopicOrPartitionError, match=r"old\.task-definitions: the topic does not exist"):
            await publish_definitions(here, [definition(name)])
        await admin.create_topics([NewTopic(here.topic(topics.DEFINITIONS_TOPIC), 1, 1)])
    finally:
        await admin.close()
    async for attempt in stamina.retry_context(UnknownTopicOrPartitionError, timeout=20):
        with attempt:
            assert await publish_definitions(here, [definition(name)]) == [definition(name)]
    with pytest.raises(PublishedAlreadyError):
        await publish_definitions(here, [definition(name, "flink_sql")])
