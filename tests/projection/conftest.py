"""One real broker for each file, which its tests may poison, cut short and kill; each begins at the topics' ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.read_model.clickhouse.driver import Driver
from tests.engines import empty_tables
from tests.projection.stage import PARTITIONS, Stage


@pytest_asyncio.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path_factory.mktemp("broker"), 0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
        yield broker


@pytest_asyncio.fixture
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """Empty tables of the engine in process; of a server where a test asks for it by `indirect`."""
    engine = getattr(request, "param", "chdb")
    async with empty_tables(engine, tmp_path, lambda: request.getfixturevalue("clickhouse_server")) as driver:
        yield driver


@pytest_asyncio.fixture
async def stage(broker: EmbeddedBroker, driver: Driver) -> AsyncIterator[Stage]:
    async with Stage.prepared(broker.bootstrap_servers, driver) as stage:
        yield stage
