"""The way of a batch through the stages: read, look up, decide, pack. `partition` then commits and remembers it."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer

from service.handling.bisection import Verdict
from service.handling.context import HandlerContext
from service.handling.deciding import Decider
from service.handling.incoming import CommandReader, Incoming, Readable, set_aside
from service.handling.lookup import Lookup
from service.handling.unit_of_work import UnitOfWork
from service.kafka.records import Record

SLICE: Final = 60
"""So many records go through all stages while they are still in the CPU's cache."""

MAX_EVENTS_BYTES: Final = 16 << 20
"""Then a batch ends: a small command's event may be large by the defaults that its definition fills in."""

TURN_SECONDS: Final = 0.02
"""A command may be large, and its definition's patterns slow: after this long, everything else has its turn."""

MAX_SECONDS: Final = 1.0
"""Then a batch ends, however many records are left: its transaction must be over before its deadline."""


class Processing:
    """The stages for the records of one partition."""

    def __init__(self, partition: int, context: HandlerContext, consumer: AIOKafkaConsumer) -> None:
        self._context, self._consumer = context, consumer
        self._reader = CommandReader(partition, context.partitions, context.kafka.prefix)
        self._decider = Decider(partition, context.partitions, context.kept, context.kafka.prefix)

    async def process(self, records: Sequence[Record], unit: UnitOfWork, verdict: Verdict) -> None:
        """Answer the records, in order, into `unit`; as many as time and the size of a transaction allow."""
        pace = Pace()
        lookup = Lookup(self._context.definitions, self._context.reply_topics, self._consumer)
        for slice_ in _slices(records):
            commands: list[Incoming] = []
            for record in slice_:
                commands.append(self._read(record, verdict))
                if pace.must_rest:
                    await pace.rest()
            unit.load(command.execution_id for command in commands if isinstance(command, Readable))
            known = await lookup.find(commands, unit)
            for command in commands:
                state = unit.state_of(command.execution_id) if isinstance(command, Readable) else None
                unit.add(self._decider.answer(command, state, known, unit.at))
                if unit.size > MAX_EVENTS_BYTES:
                    return
                if pace.must_rest:
                    if pace.is_over:
                        return
                    await pace.rest()
            await pace.rest()

    def _read(self, record: Record, verdict: Verdict) -> Incoming:
        if verdict is Verdict.DECIDE:
            return self._reader.read(record)
        return set_aside(record, self._context.kafka.prefix, bare=verdict is Verdict.SET_ASIDE_BARE)


def _slices(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    return (records[begin : begin + SLICE] for begin in range(0, len(records), SLICE))


class Pace:
    """The pace of one batch, from now on."""

    def __init__(self) -> None:
        self._began = self._turn = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the batch must end."""
        return time.monotonic() - self._began > MAX_SECONDS

    @property
    def must_rest(self) -> bool:
        """Whether others have waited for long."""
        return time.monotonic() - self._turn > TURN_SECONDS

    async def rest(self) -> None:
        """Let everything else have its turn."""
        await asyncio.sleep(0)
        self._turn = time.monotonic()
