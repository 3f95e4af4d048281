"""A topic that was made anew and has outgrown the position of the old one: no record is skipped silently."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import stamina
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from service.contracts.events import Event
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.ports.errors import ForeignStoreError
from service.ports.projection_store import ProjectionStore
from service.projection.projector import Projector
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.store import ClickHouseStore
from tests.engines import ENGINES, empty_tables
from tests.projection.stage import until
from tests.queries.lives import body, headers, life


async def publish(kafka: Kafka, lives: Sequence[Sequence[Event]]) -> int:
    """Write these events; returns how many they are."""
    async with AIOKafkaProducer(**kafka.options()) as producer:
        for event in (event for events in lives for event in events):
            key = event.execution_id.encode()
            await producer.send_and_wait(kafka.topic(EVENTS_TOPIC), body(event), key, headers=headers(event))
    return sum(map(len, lives))


async def make_anew(kafka: Kafka) -> None:
    admin, name = AIOKafkaAdminClient(**kafka.options()), kafka.topic(EVENTS_TOPIC)
    await admin.start()
    await admin.delete_topics([name])
    async for attempt in stamina.retry_context(on=KafkaError, timeout=20):
        with attempt:
            answer: Any = await admin.create_topics([NewTopic(name, 1, 1)])
            ((_, code, *_),) = answer.topic_errors
            if code:
                raise for_code(code)
    await admin.close()


async def project(store: ProjectionStore, kafka: Kafka, driver: Driver, count: int) -> None:
    """Project until there are so many events."""

    async def there() -> bool:
        (row,) = await driver.query("SELECT count() AS n FROM task_execution_events FINAL")
        return int(row["n"]) == count

    running = asyncio.create_task(Projector(store, kafka, 1).run())
    await until(there)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_events_that_were_made_anew_are_refused_and_fill_an_empty_database(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    kafka = Kafka(broker.bootstrap_servers, "anew.")
    await ensure_topics(kafka, 1)
    first = await publish(kafka, [life(number) for number in range(5)])
    async with empty_tables("chdb", tmp_path / "old", lambda: "") as driver:
        await project(ClickHouseStore(driver), kafka, driver, first)
        await make_anew(kafka)
        second = await publish(kafka, [life(number) for number in range(100, 120)])
        assert second > first
        with pytest.raises(ForeignStoreError, match=r"another anew\.task-execution\.events.*empty database"):
            await asyncio.wait_for(Projector(ClickHouseStore(driver), kafka, 1).run(), 30)
        assert (await driver.query("SELECT count() AS n FROM task_execution_events FINAL"))[0]["n"] == first
    async with empty_tables("chdb", tmp_path / "new", lambda: "") as driver:
        await project(ClickHouseStore(driver), kafka, driver, second)


@pytest.mark.parametrize("driver", ENGINES, indirect=True)
async def test_the_ids_of_topics_are_kept(driver: Driver) -> None:
    store = ClickHouseStore(driver)
    assert await store.topic_ids() == {}
    ids = {EVENTS_TOPIC: UUID(int=1), REJECTIONS_TOPIC: UUID(int=2**127 + 3)}
    await store.write_topic_ids(ids)
    assert await store.topic_ids() == ids
