import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from service.contracts.topics import REJECTIONS_TOPIC
from service.embedded import broker as broker_module
from service.embedded.broker import EmbeddedBroker
from service.embedded.errors import EmbeddedError
from service.embedded.jars import cache_directory, resolve_jars
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from tests.embedded.until import until


@pytest_asyncio.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), 1)
        yield broker


def process_of(broker: EmbeddedBroker) -> psutil.Process:
    assert broker.pid is not None
    return psutil.Process(broker.pid)


async def write(broker: EmbeddedBroker, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        await producer.send_and_wait(REJECTIONS_TOPIC, value)


async def read(broker: EmbeddedBroker, count: int) -> list[bytes | None]:
    async with (
        asyncio.timeout(30),
        AIOKafkaConsumer(
            REJECTIONS_TOPIC, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
        ) as consumer,
    ):
        return [(await consumer.getone()).value for _ in range(count)]


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_what_it_acknowledged_is_there_after_a_restart(tmp_path: Path, end: str) -> None:
    directory = tmp_path / "dätä, 数据"
    directory.mkdir()
    async with EmbeddedBroker(directory, port=0) as broker:
        await ensure_topics(Kafka(broker.bootstrap_servers), 1)
        await write(broker, b"before")
        address, pid = broker.bootstrap_servers, broker.pid

        await getattr(broker, end)()
        assert broker.pid is None
        assert not psutil.pid_exists(pid or 0)

        await broker.start()
        assert broker.bootstrap_servers == address
        await write(broker, b"after")
        assert await read(broker, 2) == [b"before", b"after"]
    assert {path.name for path in directory.iterdir()} == {
        "kafka", "kafka.lock", "kafka.log", "kafka.log.old", "kafka.properties"
    }  # fmt: skip


async def test_only_this_machine_can_reach_it(broker: EmbeddedBroker) -> None:
    listening = [
        connection.laddr.ip
        for connection in process_of(broker).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [address.removeprefix("::ffff:") for address in listening] == ["127.0.0.1", "127.0.0.1"]


async def test_a_terminals_ctrl_c_does_not_reach_it(broker: EmbeddedBroker) -> None:
    assert os.getsid(broker.pid or 0) == broker.pid != os.getsid(0)


async def test_it_has_the_transaction_protocol_of_its_version(broker: EmbeddedBroker) -> None:
    assert "transaction.version=2" in broker.log_file.read_text()


async def test_it_creates_no_topic_that_nobody_asked_for(broker: EmbeddedBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.describe_topics(["misspelt"])
        assert "misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_starting_twice_and_stopping_twice_do_nothing(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, port=0)
    await broker.stop()
    await broker.kill()
    async with broker:
        pid = broker.pid
        await broker.start()
        assert broker.pid == pid
        ending = asyncio.create_task(broker.wait())
        await broker.stop()
        await ending
        await broker.stop()


async def test_its_death_is_noticed(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path, port=0) as broker:
        process_of(broker).kill()
        with pytest.raises(EmbeddedError, match=rf"Kafka ended with exit code -9: .*{broker.log_file}"):
            await broker.wait()


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    code = """if True:
        import asyncio, pathlib, sys
        from service.embedded.broker import EmbeddedBroker
        async def main():
            async with EmbeddedBroker(pathlib.Path(sys.argv[1]), 0) as broker:
                print(broker.port, broker.pid, flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    port = pid = 0
    async for line in parent.stdout:
        if line.split()[0].isdigit():
            port, pid = map(int, line.split())
            break
    orphan = psutil.Process(pid)
    parent.kill()
    async with EmbeddedBroker(tmp_path, port):  # port and directory are free again
        assert not orphan.is_running()
    await parent.wait()


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        broker = EmbeddedBroker(tmp_path, port)
        with pytest.raises(EmbeddedError) as error:
            await broker.start()
    assert str(error.value) == (
        f"Kafka can't listen on 127.0.0.1:{port} (another process uses it): choose another port with --kafka-port."
    )


async def test_a_full_disk_is_named_and_no_process_left(small_disk: Path) -> None:
    (small_disk / "much").write_bytes(b"x" * 300_000)
    broker = EmbeddedBroker(small_disk, port=0)
    with pytest.raises(EmbeddedError, match=rf"the disk of {small_disk} is full: free some room"):
        await broker.start()
    assert broker.pid is None


@pytest.mark.parametrize("stage", ["kafka.new", "kafka"])
async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path, stage: str) -> None:
    before = psutil.Process().children()
    broker = EmbeddedBroker(tmp_path, port=0)
    starting = asyncio.create_task(broker.start())
    await until((tmp_path / stage).exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert psutil.Process().children() == before

    async with broker:
        assert broker.pid


async def test_a_directory_that_another_kafka_uses_is_refused_and_not_touched(broker: EmbeddedBroker) -> None:
    log = broker.log_file.stat()
    second = EmbeddedBroker(broker.data_dir, port=0)
    with pytest.raises(EmbeddedError) as error:
        await second.start()
    assert str(error.value) == (
        f"Another Kafka uses {broker.data_dir}: stop that one, or choose another directory with --data-dir."
    )
    assert broker.log_file.stat().st_ino == log.st_ino


async def test_the_first_stop_leaves_an_archive_that_speeds_up_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    jars = cache / (await resolve_jars(cache_directory())).name
    jars.mkdir(parents=True)
    for jar in (await resolve_jars(cache_directory())).glob("*.jar"):
        (jars / jar.name).symlink_to(jar)
    monkeypatch.setattr(broker_module, "cache_directory", lambda: cache)
    monkeypatch.setattr(broker_module, "_STOP_SECONDS", 90)
    async with EmbeddedBroker(tmp_path, port=0):
        pass
    (archive,) = jars.glob("java-*.jsa*")
    async with EmbeddedBroker(tmp_path, port=0) as broker:
        assert str(archive) in {mapping.path for mapping in process_of(broker).memory_maps()}
    assert list(jars.glob("java-*.jsa*")) == [archive]


def test_sigterm_is_what_a_stop_looks_like() -> None:
    assert broker_module._SIGTERM_EXIT == 128 + signal.SIGTERM
