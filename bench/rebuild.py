"""How fast the read model is made anew and verified: `python -m bench.rebuild --executions N [--json]`.

A broker with three events of each execution, published beforehand; then `Rebuilder.rebuild`, and `Rebuilder.verify` of
the result, on the engine in process. CPU time is that of this process, the engine's threads included.
"""

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from confluent_kafka import Producer

from bench.projection import life
from service.cli.progress import steps
from service.contracts.envelope import envelope_headers
from service.contracts.events import Event, encode_event
from service.contracts.topics import EVENTS_TOPIC
from service.embedded.broker import EmbeddedBroker
from service.kafka.connection import Kafka
from service.kafka.internals.fetching import bound_fetching
from service.kafka.provisioning import ensure_topics
from service.memory import collect_seldom
from service.ports.positions import PartitionPosition
from service.ports.progress import Tell
from service.projection.rebuild import Rebuilder
from service.projection.replay import present_span
from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.schema import create_schema
from service.read_model.clickhouse.second import SecondTables
from service.read_model.clickhouse.store import ClickHouseStore

_PARTITIONS: Final = 8
_CHUNK: Final = 50_000
_PUBLISHERS: Final = 2


def main(
    *,
    executions: Annotated[int, typer.Option(help="Three events each.")] = 100_000,
    directory: Annotated[Path | None, typer.Option(help="Where to work; a temporary directory if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Measure both."""
    collect_seldom()
    bound_fetching()
    with tempfile.TemporaryDirectory(dir=directory) as working, steps() as tell:
        result = asyncio.run(_measured(Path(working), executions, tell))
    print(json.dumps(result) if as_json else "\n".join(f"{name:30} {value}" for name, value in result.items()))


async def _measured(working: Path, executions: int, tell: Tell) -> dict[str, Any]:
    driver = connect(f"chdb://{working}/clickhouse", memory_bytes=8 << 30)
    async with EmbeddedBroker(working, 0) as broker:
        kafka = Kafka(broker.bootstrap_servers)
        await ensure_topics(kafka, _PARTITIONS)
        await create_schema(driver, migrating=True)
        await _published(kafka, executions, tell)
        store = ClickHouseStore(driver)
        rebuilder = Rebuilder(store, SecondTables(driver), kafka, _PARTITIONS)
        # Nothing is projected beside: what was published counts as written, and the rebuild writes it.
        ends = (await present_span(kafka, _PARTITIONS)).ends
        await store.write_positions([
            PartitionPosition(kafka.our_name(tp.topic), tp.partition, end - 1, end, 0) for tp, end in ends.items()
        ])  # fmt: skip
        rebuilt = await _cost("rebuild", executions, lambda: rebuilder.rebuild(tell))
        verified = await _cost("verify", executions, lambda: _verify(rebuilder, tell))
    await driver.close()
    return {"executions": executions} | rebuilt | verified


async def _verify(rebuilder: Rebuilder, tell: Tell) -> None:
    if left := (await rebuilder.verify(tell, repairing=False)).left:
        raise SystemExit(f"{left} rows are not as the topic has them")


async def _published(kafka: Kafka, executions: int, tell: Tell) -> None:
    """As the handlers would, but for the transactions; by a few processes."""
    pattern = life()
    with ProcessPoolExecutor(_PUBLISHERS) as processes:
        firsts = range(0, executions, _CHUNK)
        work = [
            processes.submit(_publish, kafka.servers, pattern, first, min(first + _CHUNK, executions))
            for first in firsts
        ]
        for done, one in enumerate(work):
            tell("Publishing", done, len(firsts))
            await asyncio.wrap_future(one)
    tell("Publishing", len(firsts), len(firsts))


def _publish(servers: str, pattern: list[Event], first: int, end: int) -> None:
    """Copies of one life, each with an id of its own."""
    producer = Producer({
        "bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4", "batch.size": 1 << 20,
        "queue.buffering.max.messages": 2 * 3 * _CHUNK,
    })  # fmt: skip
    own = pattern[0].execution_id
    known = [
        (encode_event(event).split(own.encode()), envelope_headers(type(event).__name__, own, own, event.occurred_at))
        for event in pattern
    ]
    for number in range(first, end):
        id_ = f"{number:08x}-0000-7000-8000-{number * 2654435761 % 2**48:012x}".encode()
        for body, headers in known:
            producer.produce(EVENTS_TOPIC, id_.join(body), id_, partition=number % _PARTITIONS, headers=headers)
    producer.flush()


async def _cost(name: str, executions: int, work: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    await work()
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {
        f"{name}_seconds": round(wall, 1),
        f"{name}_records_per_second": round(3 * executions / wall),
        f"{name}_cpu_us_per_record": round(cpu / 3 / executions * 1e6, 1),
        f"{name}_peak_mb": now.ru_maxrss >> 10,
    }


if __name__ == "__main__":
    typer.run(main)
