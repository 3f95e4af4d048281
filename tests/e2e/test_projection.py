"""`taskexec projection rebuild|verify`, as an operator runs them: on what `up` has left, and beside what runs."""

import asyncio
import json
from pathlib import Path

import pytest

from service.read_model.clickhouse.connecting import connect
from tests.e2e.process import Up, clean_environment, taskexec, up
from tests.engines import new_database

DEFINITION = {"taskId": "demo:hello", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}
EXECUTIONS = 5


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """What `up` has left, with some executions."""
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(DEFINITION), encoding="utf-8")
    directory = tmp_path / "data"
    with up(directory) as service:
        assert service.run("definitions", "publish", str(file)).returncode == 0
        for _ in range(EXECUTIONS):
            assert execute(service) == 0
    return directory


def execute(service: Up) -> int:
    return service.run("execute", "demo:hello", "1.0.0").returncode


def total(service: Up) -> int:
    return int(json.loads(service.run("list", "--json").stdout)["total"])


async def test_what_up_has_left_is_verified_repaired_and_made_anew(data_dir: Path) -> None:
    verify = ("projection", "verify", "--data-dir", str(data_dir))
    ran = taskexec(*verify, "--json")
    assert (ran.returncode, json.loads(ran.stdout)["left"]) == (0, 0), ran.stderr
    assert json.loads(ran.stdout)["rows"]["task_execution_events"] == EXECUTIONS
    driver = connect(f"chdb://{data_dir}/clickhouse")
    await driver.maintain("DELETE FROM task_execution_transitions WHERE 1")
    await driver.close()
    told = taskexec(*verify, "--dry-run")
    assert told.returncode == 1
    assert f"{EXECUTIONS} rows differ. Run it again without --dry-run" in told.stderr
    assert told.stdout.split("\n")[2].split() == ["task_execution_transitions", "5", "5", "0", "0"]
    repaired = taskexec(*verify)
    assert (repaired.returncode, f"{EXECUTIONS} rows differed and were repaired" in repaired.stderr) == (0, True)
    rebuilt = taskexec("projection", "rebuild", "--data-dir", str(data_dir))
    assert (rebuilt.returncode, f"made anew of {EXECUTIONS} records" in rebuilt.stderr) == (0, True), rebuilt.stderr
    with up(data_dir) as service:
        assert total(service) == EXECUTIONS
        assert execute(service) == 0
        assert total(service) == EXECUTIONS + 1
        refused = taskexec(*verify)
    assert (refused.returncode, str(data_dir) in refused.stderr) == (1, True)


async def test_an_installation_is_made_anew_while_it_runs(data_dir: Path, clickhouse_server: str) -> None:
    dsn = await new_database(clickhouse_server, data_dir)
    with up(data_dir) as service:
        there = {"KAFKA_BOOTSTRAP_SERVERS": service.kafka, "CLICKHOUSE_DSN": dsn, "TASKEXEC_PARTITIONS": "4"}
        ran = await asyncio.to_thread(taskexec, "projection", "rebuild", environment=clean_environment() | there)
        assert ran.returncode == 0, ran.stderr
    driver = connect(dsn)
    assert await driver.query("SELECT count() AS n FROM task_execution_events FINAL") == [{"n": EXECUTIONS}]
    await driver.close()


def test_a_mistyped_directory_is_not_made(tmp_path: Path) -> None:
    ran = taskexec("projection", "verify", "--data-dir", str(tmp_path / "mistyped"))
    assert (ran.returncode, "has no data of `taskexec up`" in ran.stderr) == (1, True)
    assert not (tmp_path / "mistyped").exists()
