"""Restart and memory of a handler that remembers very much: `python -m bench.remembered --executions N --open N`.

The state topic is filled as handlers would have left it, then one process is started on it: with no store, with the one
that it has made, and with one that a kill -9 left behind.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import typer
from confluent_kafka import Producer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from uuid_utils.compat import uuid7

from bench.cluster import PARTITIONS, Cluster
from bench.handlers import start, stop, usage
from bench.restart import first_answers, ones
from bench.workload import TYPES, command, lives
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import DAY_MS, STATE_TOPIC
from service.domain.execution import Execution, Remembered
from service.embedded.broker import EmbeddedBroker
from service.handling.snapshots import encode_snapshot

_CHUNK: Final = 100_000
_DEADLINE_SECONDS: Final = 3_600
_BEGAN_MS: Final = 1_795_000_000_000
_LOAD: Final = 20_000
_RUN: Final = "remembered"


def main(
    *,
    executions: Annotated[int, typer.Option(help="Finished executions that are remembered.")] = 1_000_000,
    open_: Annotated[int, typer.Option("--open", help="Open ones beside them.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of a table.")] = False,
    directory: Annotated[Path | None, typer.Option(help="Where to work; a temporary directory if not given.")] = None,
) -> None:
    """Measure one handler process, on a broker of its own."""
    with tempfile.TemporaryDirectory(dir=directory) as working:
        result = asyncio.run(_measured(Path(working), executions, open_))
    if as_json:
        print(json.dumps(result))
        return
    title = f"{executions:,} finished, {open_:,} open; one process, {PARTITIONS} partitions"
    table = Table("figure", "value", title=title)
    for name, value in result.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)


async def _measured(working: Path, executions: int, open_: int) -> dict[str, Any]:
    (working / "broker").mkdir()
    async with EmbeddedBroker(working / "broker", 0) as broker:
        return await asyncio.to_thread(_measure, Cluster(broker.bootstrap_servers), working, executions, open_)


def _measure(cluster: Cluster, working: Path, executions: int, open_: int) -> dict[str, Any]:
    cluster.empty(commands=True)
    cluster.publish_definition()
    _fill_states(cluster, executions, open_)
    store, log = working / "state", working / "handler.log"
    restored = executions + open_
    on_topic = _size(working / "broker", STATE_TOPIC) / restored
    result: dict[str, Any] = {"topic_bytes_per_execution": round(on_topic, 1)}
    handler = partial(start, cluster.servers, log, 1, state_dir=store)
    with _answering(cluster, handler, "empty", log) as (running, seconds):
        result |= {"start_without_store_s": seconds, "restored_per_second": round(restored / seconds)}
        result |= {"restore_peak_rss_mb": _peak_mb(running)}
        result["store_bytes_per_execution"] = round(_settled_size(store) / restored, 1)
    with _answering(cluster, handler, "good", log) as (running, seconds):
        result |= {"start_with_store_s": seconds, "rss_mb": _peak_mb(running)}
        began, (cpu, _) = time.monotonic(), usage(running)
        total = cluster.fill(lives(_LOAD))
        follower = cluster.follower()
        while cluster.committed(follower) < total and time.monotonic() < began + _DEADLINE_SECONDS:
            time.sleep(0.2)
        follower.close()
        result["cpu_us_per_command"] = round((usage(running)[0] - cpu) / total * 1e6, 1)
        result["rss_after_load_mb"] = _peak_mb(running)
        stop(running, signal.SIGKILL)
    with _answering(cluster, handler, "killed", log) as (running, seconds):
        result |= {"start_after_kill_s": seconds}
    return result


@contextmanager
def _answering(cluster: Cluster, handler: Any, name: str, log: Path) -> Iterator[tuple[psutil.Popen, float]]:  # noqa: ANN401 - a partial
    """A handler that has answered a command on each partition, and after how many seconds it had."""
    run = f"{_RUN}-{name}-{uuid7()}"
    reader = cluster.event_reader()
    cluster.fill(command(number, TYPES[0], run) for number in ones(run))
    began = time.monotonic()
    running = handler()
    try:
        yield running, first_answers(reader, began, _DEADLINE_SECONDS)
    except Exception:
        sys.stderr.write(log.read_text(encoding="utf-8")[-2_000:])
        raise
    finally:
        stop(running)


def _fill_states(cluster: Cluster, executions: int, open_: int) -> None:
    chunks = [(min(_CHUNK, executions - first), Status.SUCCESS) for first in range(0, executions, _CHUNK)]
    chunks += [(min(_CHUNK, open_ - first), Status.RUNNING) for first in range(0, open_, _CHUNK)]
    with ProcessPoolExecutor() as pool:
        work = pool.map(partial(_fill_some, cluster.servers), *zip(*chunks, strict=True))
        for _ in track(work, "states", total=len(chunks), console=Console(stderr=True)):
            pass


def _fill_some(servers: str, count: int, status: Status) -> None:
    """Snapshots with ids and hashes of their own, in batches as handlers write them."""
    producer = Producer({
        "bootstrap.servers": servers, "linger.ms": 50, "batch.size": 900_000,
        "queue.buffering.max.messages": 2 * _CHUNK, "enable.idempotence": True,
    })  # fmt: skip
    for number in range(count):
        key = os.urandom(16)
        producer.produce(STATE_TOPIC, encode_snapshot(_state(key, status)), key, number % PARTITIONS)
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker does not take the states")


def _state(key: bytes, status: Status) -> Execution:
    """One of three commands, or of two if it is running, within a day; a few tasks, creators and tags."""
    told = (Status.PENDING, Status.RUNNING, status)[: 2 if status is Status.RUNNING else 3]
    identities = os.urandom(32 * len(told))
    commands = tuple(
        Remembered(identities[32 * n : 32 * n + 16] if n else key, identities[32 * n + 16 : 32 * n + 32], n + 1, status)
        for n, status in enumerate(told)
    )
    created = _BEGAN_MS + int.from_bytes(key[:4]) % DAY_MS
    started = created + key[4] * 7
    ended = started + key[5] * 999 if status.is_final else None
    times = [None if at is None else Timestamp.from_epoch_ms(at) for at in (created, ended or started, started, ended)]
    return Execution(
        "", len(told), status, f"etl:load-{key[6] % 20}", f"1.{key[7] % 4}.0", f"/services/scheduler-{key[8] % 5}",
        times[0], ("nightly", f"team-{key[9] % 20}"), times[1], times[2], times[3], None, commands,
    )  # fmt: skip


def _size(directory: Path, name: str) -> int:
    """The bytes of a topic's partitions, of the records themselves."""
    return sum(file.stat().st_size for file in directory.rglob("*.log") if file.parent.name.rpartition("-")[0] == name)


def _settled_size(store: Path) -> int:
    """The bytes of the store, when nothing is merged any more."""
    seen = -1
    while (size := sum(file.stat().st_size for file in store.rglob("*.sst"))) != seen:
        seen = size
        time.sleep(5)
    return size


def _peak_mb(running: psutil.Popen) -> int:
    """The most memory that the handler's process had so far."""
    lines = Path(f"/proc/{running.pid}/status").read_text(encoding="ascii").splitlines()
    return max(round(int(line.split()[1]) / 1e3) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    typer.run(main)
