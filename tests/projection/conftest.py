"""One real broker for this folder, which its tests may poison, cut short and kill; each begins at the topics' ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.embedded.broker import EmbeddedBroker
from service.kafka.provisioning import ensure_topics
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from tests.projection.stage import PARTITIONS, Stage


@pytest_asyncio.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path_factory.mktemp("broker"), 0) as broker:
        await ensure_topics(broker.bootstrap_servers, PARTITIONS)
        yield broker


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    """A real engine with empty tables. A process can hold one at a time: so each test opens its own, and closes it."""
    driver = connect(f"chdb://{tmp_path}/clickhouse")
    await create_schema(driver, migrating=True)
    yield driver
    await driver.close()


@pytest_asyncio.fixture
async def stage(broker: EmbeddedBroker, driver: Driver) -> AsyncIterator[Stage]:
    async with Stage.prepared(broker.bootstrap_servers, driver) as stage:
        yield stage
