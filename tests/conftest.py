"""Real parts, started once for all tests that need them."""

import gc
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis  # its pytest plugin would import it last of all, where CPython 3.11 can fail to compile
import pytest
import pytest_asyncio

from service.embedded.broker import EmbeddedBroker
from service.embedded.ports import free_port
from service.kafka import ends
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.live import following
from service.queries import freshness
from tests.clickhouse_server import running_server

# Machines are shared, and stand still for seconds: what must be quick elsewhere need not be in a test's own process.
hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")
for module, limit in ((ends, "_ANSWER_SECONDS"), (freshness, "_ANSWER_SECONDS"), (following, "START_SECONDS")):
    setattr(module, limit, 60.0)

HERE = Path(__file__).parent
LONGEST = ("e2e", "examples", "faults", "projection", "worker")
"""The folders with the files that take longest: they start processes, and wait for them."""

PARTITIONS = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, else the last file would run alone; the order is random otherwise."""
    items.sort(key=lambda item: item.path.relative_to(HERE).parts[0] not in LONGEST)


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over all that was imported: there are hundreds of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_behind() -> Iterator[None]:
    """Collect what a file's tests leave behind, with them.

    A future that nobody asked for its error logs it when it is collected. CPython 3.11 fails to parse if that happens
    while it parses: it parses to write a traceback, too.
    """
    yield
    gc.collect()


IMAGE = "apache/kafka:4.0.2"


@pytest_asyncio.fixture(scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The bootstrap servers of a real Kafka that has the service's topics, the owned ones with 4 partitions.

    In Docker by testcontainers, if the image is there, else the embedded broker; TEST_KAFKA=testcontainers and
    TEST_KAFKA=embedded say which. Each xdist worker has its own.
    """
    which = os.environ.get("TEST_KAFKA") or ("testcontainers" if _docker_has_the_image() else "embedded")
    if which == "testcontainers":
        with _container() as servers:
            await ensure_topics(Kafka(servers), PARTITIONS)
            yield servers
    else:
        async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), port=0) as broker:
            await ensure_topics(Kafka(broker.bootstrap_servers), PARTITIONS)
            yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN, without a database, of ClickHouse over HTTP."""
    with running_server(tmp_path_factory.mktemp("clickhouse-server")) as dsn:
        yield dsn


def _docker_has_the_image() -> bool:
    docker = shutil.which("docker")
    command = [docker or "", "image", "inspect", IMAGE]
    return docker is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - slow, and only where it is used

    # Its KafkaContainer knows another vendor's images only, and a port that is not known before the start.
    port = free_port("127.0.0.1")
    settings = {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "transaction.max.timeout.ms": "60000",
    }
    container = DockerContainer(IMAGE).with_bind_ports(port, port)
    for name, value in settings.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        yield f"127.0.0.1:{port}"
