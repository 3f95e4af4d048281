"""What the projection costs, and how soon an event is listed: `python -m bench.projection [--json]`.

A broker, and the engine in process. First a backlog of events: CPU of this process for each. Then a steady load: how
long after Kafka has acknowledged an event its execution can be listed, the cores that this process uses meanwhile,
which publishes and asks as well, and how many parts the tables have (`--rate 2000 --seconds 3600`: for an hour). The
collector is set as the service sets it.
"""

import asyncio
import json
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from service.contracts.envelope import envelope_headers
from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionStarted,
    TaskExecutionSucceeded,
    encode_event,
)
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.murmur2 import partition_of
from service.kafka.provisioning import ensure_topics
from service.memory import collect_seldom
from service.projection.projector import Projector
from service.queries.executions import TaskExecutionQueries
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.store import ClickHouseStore

_PARTITIONS: Final = 8
_BATCH: Final = 3_000
_PROBES_PER_SECOND: Final = 5


def main(
    *,
    executions: Annotated[int, typer.Option(help="Of the backlog; three events each.")] = 50_000,
    rate: Annotated[int, typer.Option(help="Events a second of the steady load.")] = 500,
    seconds: Annotated[int, typer.Option(help="How long that lasts.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Measure the projector."""
    collect_seldom()
    with tempfile.TemporaryDirectory() as working:
        result = asyncio.run(_measured(Path(working), executions, rate, seconds))
    print(json.dumps(result) if as_json else "\n".join(f"{name:30} {value}" for name, value in result.items()))


async def _measured(working: Path, executions: int, rate: int, seconds: int) -> dict[str, Any]:
    driver = connect(f"chdb://{working}/clickhouse")
    async with EmbeddedBroker(working, 0) as broker:
        kafka = Kafka(broker.bootstrap_servers)
        await ensure_topics(kafka, _PARTITIONS)
        await create_schema(driver, migrating=True)
        store = ClickHouseStore(driver)
        queries = TaskExecutionQueries(store, _PARTITIONS)
        async with AIOKafkaProducer(**kafka.options(), linger_ms=5, max_batch_size=1 << 17) as producer:
            for first in range(0, executions, _BATCH // 3):
                lives = [event for n in range(first, min(first + _BATCH // 3, executions)) for event in life()]
                await asyncio.gather(*[await _send(producer, event) for event in lives])
            projecting = asyncio.create_task(Projector(store, kafka, _PARTITIONS).run())
            try:
                backlog = await _drained(queries, executions)
                began, used = time.perf_counter(), _cpu_seconds()
                parts: dict[str, list[int]] = defaultdict(list)
                counting = asyncio.create_task(_count_parts(driver, parts))
                waits = await _steady(driver, producer, rate, seconds)
                counting.cancel()
                cores = (_cpu_seconds() - used) / (time.perf_counter() - began)
            finally:
                projecting.cancel()
                with suppress(asyncio.CancelledError):
                    await projecting
    await driver.close()
    waits.sort()
    return backlog | {
        "events_per_second": rate,
        "cores": round(cores, 2),
        "listed_p50_ms": round(statistics.median(waits)),
        "listed_p99_ms": round(waits[int(len(waits) * 0.99)]),
        "parts_median": {table: statistics.median_high(counts) for table, counts in parts.items()},
        "parts_most": {table: max(counts) for table, counts in parts.items()},
    }


def life(created_by: str = "scheduler") -> list[Event]:
    """The events of an execution that succeeds."""
    now = Timestamp.of(Timestamp.now(UTC))
    known: dict[str, Any] = {
        "execution_id": str(uuid7()), "task_id": "bench:resize-image", "task_version": "1.0.0",
        "created_by": created_by,
        "created_at": now, "tags": ("nightly", "eu"), "command_id": str(uuid7()), "command_hash": uuid7().hex,
        "occurred_at": now,
    }  # fmt: skip
    image = {"url": f"s3://bucket/images/{uuid7()}.png", "w": 640, "h": 480, "note": "x" * 60}
    begun = known | {"started_at": now}
    return [
        TaskExecutionCreated(sequence=1, status=Status.PENDING, resolved_inputs=image, **known),
        TaskExecutionStarted(sequence=2, status=Status.RUNNING, previous_status=Status.PENDING, **begun),
        TaskExecutionSucceeded(
            sequence=3, status=Status.SUCCESS, previous_status=Status.RUNNING, outputs=image, completed_at=now, **begun
        ),
    ]


async def _send(producer: AIOKafkaProducer, event: Event) -> "asyncio.Future[Any]":
    key = event.execution_id.encode()
    id_ = f"{event.execution_id}/{event.sequence}"
    sent: asyncio.Future[Any] = await producer.send(
        EVENTS_TOPIC, encode_event(event), key, partition=partition_of(key, _PARTITIONS),
        headers=envelope_headers(type(event).__name__, id_, event.execution_id, event.occurred_at),
    )  # fmt: skip
    return sent


async def _drained(queries: TaskExecutionQueries, executions: int) -> dict[str, float]:
    """Until all are listed as ended: CPU of this process for each event, and events per second."""
    began, used = time.perf_counter(), _cpu_seconds()
    while (await queries.stats()).success < executions:  # noqa: ASYNC110 - it is another's
        await asyncio.sleep(0.5)
    events = 3 * executions
    return {
        "cpu_us_per_event": round((_cpu_seconds() - used) / events * 1e6, 1),
        "backlog_events_per_second": round(events / (time.perf_counter() - began)),
    }


async def _steady(driver: Driver, producer: AIOKafkaProducer, rate: int, seconds: int) -> list[float]:
    """Milliseconds from the acknowledgement of a probe's first event until a query of the transitions finds it."""
    clock = asyncio.get_running_loop().time
    began = clock()
    acknowledged: dict[str, float] = {}
    waits: list[float] = []
    looking = asyncio.create_task(_look(driver, acknowledged, waits))
    probes, sent = 0, 0
    while (passed := clock() - began) < seconds:
        while sent < passed * rate:
            probe = probes < passed * _PROBES_PER_SECOND
            probes += probe
            events = life("probe" if probe else "scheduler")
            sent += len(events)
            for number, event in enumerate(events):
                future = await _send(producer, event)
                if probe and not number:
                    id_ = event.execution_id
                    future.add_done_callback(partial(_note, acknowledged, id_))
        await asyncio.sleep(0.01)
    while len(waits) < probes:  # noqa: ASYNC110 - it is another's
        await asyncio.sleep(0.1)
    looking.cancel()
    return waits


async def _count_parts(driver: Driver, parts: dict[str, list[int]]) -> None:
    """Every second, how many parts each table has."""
    while True:
        rows = await driver.query(
            "SELECT table, count() AS parts FROM system.parts "
            "WHERE active AND database = currentDatabase() GROUP BY table"
        )
        for row in rows:
            parts[row["table"]].append(row["parts"])
        await asyncio.sleep(1)


def _note(acknowledged: dict[str, float], id_: str, _: object) -> None:
    acknowledged[id_] = asyncio.get_running_loop().time()


async def _look(driver: Driver, acknowledged: dict[str, float], waits: list[float]) -> None:
    """Ask every 20 ms which probes are there."""
    clock = asyncio.get_running_loop().time
    sql = (
        "SELECT toString(executionId) AS id FROM task_execution_transitions "
        "WHERE status = 'PENDING' AND at > now64(3) - 60 AND createdBy = 'probe'"
    )
    while True:
        found = [row["id"] for row in await driver.query(sql)]
        waits += [(clock() - acknowledged.pop(id_)) * 1000 for id_ in found if id_ in acknowledged]
        await asyncio.sleep(0.02)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
