"""`taskexec handler` as several processes: whatever dies, nothing is lost, doubled, or left behind."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO
from urllib.request import urlopen

import psutil
import pytest

from service.contracts.commands import ExecuteTask
from service.embedded.ports import free_port
from tests.e2e.process import TASKEXEC, clean_environment, taskexec
from tests.handling.world import PARTITIONS, World, a_world, execution_id, id_owned_by

TASK = ExecuteTask(task_id="processes:task", task_version="1.0.0", inputs={})


@pytest.fixture(scope="module")
async def world(kafka: str) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        await world.define({"taskId": TASK.task_id, "version": "1.0.0", "status": "PUBLISHED", "type": "sql"})
        yield world


@contextmanager
def handler(servers: str, metrics_port: int) -> Iterator[psutil.Popen]:
    command, environment = [*TASKEXEC, "handler", "--processes", "2"], at(servers, metrics_port)
    with psutil.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        family: list[psutil.Process] = [running]
        try:
            until(running.stderr, "Ready.")
            family = [running, *running.children()]
            yield running
        finally:
            for process in family:
                if process.is_running():
                    process.kill()


def at(servers: str, metrics_port: int) -> dict[str, str]:
    own = {"TASKEXEC_PARTITIONS": str(PARTITIONS), "TASKEXEC_METRICS_PORT": str(metrics_port)}
    return clean_environment() | own | {"KAFKA_BOOTSTRAP_SERVERS": servers}


def until(stderr: IO[str], said: str) -> None:
    lines = []
    for line in stderr:
        lines.append(line)
        if said in line:
            return
    raise AssertionError("".join(lines))


def workers(running: psutil.Popen) -> list[psutil.Process]:
    return [process for process in running.children() if any("spawn_main" in part for part in process.cmdline())]


def metric(port: int, name: str) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


async def execute(world: World, count: int) -> list[str]:
    ids = [id_owned_by(number % PARTITIONS) for number in range(count)]
    for id_ in ids:
        await world.command(TASK, id_=id_)
    return ids


async def test_a_killed_process_is_replaced_and_nothing_is_lost_or_doubled(world: World) -> None:
    port = free_port("127.0.0.1")
    with handler(world.servers, port) as running:
        victim, other = workers(running)
        ids = await execute(world, 40)
        victim.kill()
        ids += await execute(world, 40)
        await asyncio.to_thread(until, running.stderr, "process_killed")
        await world.settled(30)
        assert [len(await world.events(execution_id(id_))) for id_ in ids] == [1] * len(ids)
        async with asyncio.timeout(30):
            while await asyncio.to_thread(metric, port, "taskexec_partitions_open") < PARTITIONS:
                await asyncio.sleep(0.1)
        assert other in workers(running)
        assert len(workers(running)) == 2
        assert victim not in workers(running)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_all_end_with_the_one_that_started_them(world: World, how: signal.Signals) -> None:
    with handler(world.servers, free_port("127.0.0.1")) as running:
        family = [running, *running.children()]
        running.send_signal(how)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        assert running.returncode == (-signal.SIGKILL if how is signal.SIGKILL else 0)
        assert "Traceback" not in running.stderr.read()


def test_why_they_cannot_run_is_said_once(world: World) -> None:
    mistaken = {"TASKEXEC_PARTITIONS": str(PARTITIONS + 1)}
    ran = taskexec("handler", "--processes", "2", environment=at(world.servers, free_port("127.0.0.1")) | mistaken)
    assert ran.returncode == 3
    assert ran.stderr.count("Error: ") == 1
    assert f"task-execution.state has {PARTITIONS} partitions" in ran.stderr


def test_a_busy_metrics_port_is_named(world: World) -> None:
    with handler(world.servers, port := free_port("127.0.0.1")):
        for count in ("1", "2"):
            ran = taskexec("handler", "--processes", count, environment=at(world.servers, port))
            assert ran.returncode == 3
            assert f"{port}: Address already in use. Set another port with TASKEXEC_METRICS_PORT" in ran.stderr
            assert "Traceback" not in ran.stderr
