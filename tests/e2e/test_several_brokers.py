"""Several addresses in KAFKA_BOOTSTRAP_SERVERS, one of which nobody answers at."""

import subprocess
from pathlib import Path

import pytest

from service.client.commands import CommandClient
from service.embedded.ports import free_port
from tests.e2e.process import TASKEXEC, clean_environment, taskexec
from tests.handling.world import PARTITIONS


@pytest.fixture(params=["dead first", "dead last"])
def servers(kafka: str, request: pytest.FixtureRequest) -> str:
    dead = f"127.0.0.1:{free_port('127.0.0.1')}"
    return f"{dead},{kafka}" if request.param == "dead first" else f"{kafka},{dead}"


@pytest.mark.parametrize("role", ["handler", "projector", "api"])
def test_every_role_starts(servers: str, role: str, tmp_path: Path) -> None:
    environment = clean_environment() | {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "CLICKHOUSE_DSN": f"chdb://{tmp_path}/clickhouse",
        "TASKEXEC_PARTITIONS": str(PARTITIONS),
        "TASKEXEC_HTTP_PORT": "0",
        "TASKEXEC_PROCESSES": "1",
    }
    with subprocess.Popen([*TASKEXEC, role], env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            said = []
            for line in running.stderr:
                said.append(line)
                if "Ready." in line:
                    return
            raise AssertionError("".join(said))
        finally:
            running.kill()


async def test_the_client_starts(servers: str) -> None:
    async with CommandClient(servers, "/tests") as client:
        assert client.closed is None


def test_definitions_are_published(servers: str, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text('{"taskId": "several:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}')
    ran = taskexec("definitions", "publish", str(file), "--bootstrap-servers", servers)
    assert ran.returncode == 0
    assert ran.stderr.splitlines()[-1] in {  # the same cluster, by other addresses
        "published several:task 1.0.0 (PUBLISHED)", "there already: several:task 1.0.0 (PUBLISHED)"
    }  # fmt: skip


def test_a_wrong_address_is_named(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text('{"taskId": "several:task", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}')
    publish = ("definitions", "publish", str(file), "--bootstrap-servers", "kafka-1:9092,kafka-2")
    handler = clean_environment() | {"KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2"}
    for ran in (taskexec(*publish), taskexec("handler", environment=handler)):
        assert ran.returncode == 2
        assert "'kafka-2' is not host:port" in ran.stderr
        assert "KAFKA_BOOTSTRAP_SERVERS" in ran.stderr
