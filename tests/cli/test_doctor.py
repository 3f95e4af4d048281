"""`taskexec doctor`: what is wrong is told with what to do, and nothing is changed."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from service.bootstrap import store_version
from service.cli import local_checks
from service.cli.main import app
from service.kafka.connection import Kafka
from service.kafka.provisioning import ensure_topics
from service.settings import Settings
from tests.api.scripted import standing
from tests.cli.conftest import Service

Found = dict[str, list[tuple[str, str]]]
Doctor = Callable[..., Coroutine[Any, Any, tuple[int, Found]]]


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that other tests have left may write to streams that are closed: of that, nothing is to be told."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


def is_empty(directory: Path) -> bool:
    return not [*directory.iterdir()]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs it with these variables: its exit code, and what it found, by check."""
    monkeypatch.setenv("TASKEXEC_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("TASKEXEC_DATA_DIR", str(tmp_path / "data"))

    async def run(**variables: str) -> tuple[int, Found]:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "-o", "json"], env=variables)
        assert not result.stderr or json.loads(result.stderr)["title"]
        found: Found = {}
        for one in json.loads(result.stdout):
            assert ("advice" in one) == (one["level"] != "ok"), one
            found.setdefault(one["check"], []).append((one["level"], one["detail"]))
        assert is_empty(tmp_path)
        return result.exit_code, found

    return run


async def test_a_whole_installation_is_well(
    doctor: Doctor, service: Service, kafka: str, clickhouse_server: str
) -> None:
    dsn = f"{clickhouse_server}/default"
    code, found = await doctor(TASKEXEC_URL=service.url, KAFKA_BOOTSTRAP_SERVERS=kafka, CLICKHOUSE_DSN=dsn)

    assert code == 0
    levels = {check: {level for level, _ in each} for check, each in found.items() if check != "ports"}
    assert levels.pop("clickhouse") <= {"ok", "warn"}  # other tests may have made its tables
    assert set.union(*levels.values()) == {"ok"}
    assert levels.keys() == {
        "python", "java", "maven", "disk (data)", "environment", "contexts", "api", "clock", "projection", "kafka",
        "topics", "handlers",
    }  # fmt: skip


async def test_nothing_is_there(doctor: Doctor) -> None:
    nowhere = "127.0.0.1:9"
    code, found = await doctor(
        TASKEXEC_URL=f"http://{nowhere}", KAFKA_BOOTSTRAP_SERVERS=nowhere, CLICKHOUSE_DSN=f"clickhouse://u:secret@{nowhere}/d"
    )  # fmt: skip
    assert code == 1
    assert {check for check, each in found.items() if each[0][0] == "fail"} == {"api", "kafka", "clickhouse"}
    assert "secret" not in json.dumps(found)


async def test_mistyped_and_wrong_variables_and_files_are_found(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path.parent / f"{tmp_path.name}.toml"
    config.write_text("current = 'gone'")
    away = {"TASKEXEC_URL": "http://127.0.0.1:9", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    code, found = await doctor(TASKEXEC_PARTITION="9", TASKEXEC_CONFIG=str(config), **away)
    assert code == 1
    assert ("fail", "TASKEXEC_PARTITION is set, and nothing reads it") in found["environment"]
    assert found["contexts"][0][0] == "fail"
    _, found = await doctor(TASKEXEC_PARTITIONS="many", **away)
    assert found["environment"][0][0] == "fail"
    assert "TASKEXEC_PARTITIONS" in found["environment"][0][1]


async def test_a_projector_that_is_gone(doctor: Doctor, service: Service) -> None:
    service.queries.standing = standing(age_seconds=60)
    code, found = await doctor(TASKEXEC_URL=service.url, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert (code, found["projection"][0]) == (1, ("fail", "STALLED, 3 offsets behind"))


async def test_topics_that_are_missing_are_not_made(
    doctor: Doctor, service: Service, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Kafka(kafka, f"doctor-{uuid7()}.")
    given = {"TASKEXEC_URL": service.url, "KAFKA_BOOTSTRAP_SERVERS": kafka, "TASKEXEC_PREFIX": installation.prefix}
    for _ in range(2):
        code, found = await doctor(**given)
        assert (code, found["topics"][0][0]) == (1, "fail")
        assert installation.topic("task-execution.events") in found["topics"][0][1]
    await ensure_topics(installation, 1)
    assert (await doctor(**given))[1]["topics"] == [("ok", "all 8 are as they must be")]


async def test_a_database_without_tables_stays_so(clickhouse_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import clickhouse_connect  # noqa: PLC0415 - of this test only

    client = clickhouse_connect.get_client(dsn=f"{clickhouse_server}/default")
    client.command("CREATE DATABASE IF NOT EXISTS looked_at")
    settings = Settings(clickhouse_dsn=f"{clickhouse_server}/looked_at")
    for _ in range(2):
        assert await store_version(settings) is None
    assert client.query("SHOW TABLES FROM looked_at").result_rows == []
    client.close()


def test_disks_that_are_full_are_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TASKEXEC_DATA_DIR", str(tmp_path / "not" / "there"))
    monkeypatch.delenv("TASKEXEC_STATE_DIR", raising=False)
    for free, level in ((10 << 30, "ok"), (1 << 30, "warn"), (1 << 20, "fail")):
        usage = shutil.disk_usage(tmp_path)._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert [one.level for one in local_checks._disks()] == [level]
