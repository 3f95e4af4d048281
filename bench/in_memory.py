"""CPU per command without a broker, stage by stage: `python -m bench.in_memory --help`.

What is measured goes the whole way but for the network: fetched batches are parsed, queued, read, decided and packed,
states and replies are packed too, batches built, states remembered in a store on this machine's disk. Each figure is
that of the quietest twentieth of the batches: other work on a shared machine counts as CPU time of ours.
"""

import asyncio
import gc
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Final, cast

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy
from rocksdict import Cache

from bench.workload import DEFINITION, Written, lives
from service.contracts.definitions import TaskDefinition
from service.contracts.replies import Position
from service.contracts.sensitive import withhold
from service.contracts.topics import COMMANDS_TOPIC, REPLIES_TOPIC
from service.domain.definitions import Definition
from service.handling.batches import Batches
from service.handling.bisection import Verdict
from service.handling.context import HandlerContext
from service.handling.handler import utc_now
from service.handling.processing import Processing
from service.handling.queue import CommandQueue
from service.handling.reply_records import reply_record
from service.handling.restoring import StoreRecords
from service.handling.state_store import StateStore
from service.handling.states import States
from service.handling.unit_of_work import UnitOfWork
from service.kafka.internals.partition_records import BoundedRecords
from service.kafka.murmur2 import partition_of
from service.kafka.records import Record

PARTITIONS: Final = 8
_QUIET: Final = 0.05
_MOST_BYTES: Final = 800_000
_KEPT: Final = timedelta(hours=24)
_TP: Final = TopicPartition(COMMANDS_TOPIC, 0)


def main(
    commands: Annotated[int, typer.Option(help="How many.")] = 20_000,
    batch: Annotated[int, typer.Option(help="How many in a transaction.")] = 500,
    note: Annotated[int, typer.Option(help="Bytes of the largest input and output of an execution.")] = 24,
    *,
    replies: Annotated[bool, typer.Option(help="Every command asks for a reply.")] = False,
) -> None:
    """Print microseconds per command as JSON."""
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 1000)
    written = islice((w for w in lives(10**7, note) if partition_of(w.key, PARTITIONS) == 0), commands)
    fetched = list(_fetched(_asking(w) if replies else w for w in written))
    with tempfile.TemporaryDirectory() as directory:
        states = States(StateStore(Path(directory), Cache(8 << 20)), StoreRecords("bench", _KEPT, utc_now))
        print(json.dumps(asyncio.run(_measured(fetched, states, batch))))


def _asking(written: Written) -> Written:
    asks: list[tuple[str, str | bytes | None]] = [("reply_to", REPLIES_TOPIC.encode()), ("correlation_id", written.key)]
    return written._replace(headers=[*written.headers, *asks])


def _fetched(commands: Iterator[Written]) -> Iterator[bytes]:
    """The commands as a broker sends them."""
    offset, number, builder = 0, 0, _builder()
    for key, value, headers in commands:
        builder.append(number, 0, key, value, headers)
        number += 1
        if builder.size() > _MOST_BYTES:
            yield offset.to_bytes(8) + bytes(builder.build())[8:]
            offset, number, builder = offset + number, 0, _builder()
    if number:
        yield offset.to_bytes(8) + bytes(builder.build())[8:]


def _builder() -> Any:  # noqa: ANN401 - aiokafka's
    return DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 2 * _MOST_BYTES)


async def _measured(fetched: list[bytes], states: States, batch: int) -> dict[str, float]:
    costs: dict[str, list[float]] = defaultdict(list)
    processing, queue = Processing(0, _context(), cast("AIOKafkaConsumer", None)), CommandQueue()
    for raw in fetched:
        with _timed(costs["parse"]) as count:
            found: list[Record] = [record for record in _parsed(raw) if record is not None]
            count.append(len(found))
        with _timed(costs["queue"]) as count:
            queue.put(found)
            count.append(len(found))
        while len(queue) >= batch:
            await _transact(queue.take_batch(batch), processing, states, costs)
    quiet = {name: sorted(found)[int(len(found) * _QUIET)] * 1e6 for name, found in costs.items()}
    return {name: round(cost, 2) for name, cost in {**quiet, "total": sum(quiet.values())}.items()}


def _parsed(raw: bytes) -> BoundedRecords:
    return BoundedRecords(_TP, _MemoryRecordsPy(raw), [], 0, None, None, True, READ_COMMITTED)  # noqa: FBT003 - aiokafka's


async def _transact(
    records: list[Record], processing: Processing, states: States, costs: dict[str, list[float]]
) -> None:
    unit = UnitOfWork(0, PARTITIONS, Batches(_new_batch), states, utc_now())
    done, next_offset = [len(records)], records[-1].offset + 1
    with _timed(costs["read, look up, decide, pack"], done):
        while unit.count < len(records):
            await processing.process(records[unit.count :], unit, Verdict.DECIDE)
    with _timed(costs["states"], done):
        unit.add_states(next_offset)
    with _timed(costs["replies"], done):
        for answer, _ in unit.replies:
            unit.batches.put(REPLIES_TOPIC, 0, reply_record(answer, Position(partition=0, offset=1), unit.at))
    with _timed(costs["build"], done):
        for batches in unit.batches.packed.values():
            for built in batches:
                cast("Any", built)._build()
    with _timed(costs["remember"], done):
        states.remember(unit.changed, unit.states.items(), unit.timers, next_offset)
    if unit.outcomes != {"accepted": len(records)}:
        raise RuntimeError(f"Not every command was accepted: {unit.outcomes}")


def _new_batch() -> Any:  # noqa: ANN401 - aiokafka's
    return BatchBuilder(900_000, 0, is_transactional=1)


@contextmanager
def _timed(costs: list[float], counted: list[int] | None = None) -> Iterator[list[int]]:
    """Note the CPU seconds per command; how many there were is put into the list."""
    count = counted or []
    began = time.process_time()
    yield count
    costs.append((time.process_time() - began) / count[0])


def _context() -> HandlerContext:
    definition = Definition(TaskDefinition.model_validate(DEFINITION, by_alias=True, by_name=False))

    async def no_flaws(*_: object) -> dict[str, str]:
        return {}

    context = SimpleNamespace(
        definitions=SimpleNamespace(get=lambda *_: definition, sensitive=False), partitions=PARTITIONS, kept=_KEPT,
        reply_topics=SimpleNamespace(flaws=no_flaws), kafka=SimpleNamespace(prefix=""), seal=withhold,
    )  # fmt: skip
    return cast("HandlerContext", context)


if __name__ == "__main__":
    typer.run(main)
