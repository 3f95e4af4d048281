"""The way of a batch through the stages: read, look up, decide, pack. `partition` then commits and remembers it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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

MAX_CAUSED: Final = 10_000
"""Likewise, of commands that are caused: one can name a thousand executions to wait for."""

TURN_SECONDS: Final = 0.02
"""A command may be large, and its definition's patterns slow: after this long, everything else has its turn."""

MAX_SECONDS: Final = 1.0
"""Then a batch ends, however many records are left: its transaction must be over before its deadline."""


class Processing:
    """The stages for the records of one partition."""

    def __init__(self, partition: int, context: HandlerContext, consumer: AIOKafkaConsumer) -> None:
        self._context, self._consumer = context, consumer
        self._reader = CommandReader(partition, context.partitions, context.kafka.prefix)
        self._decider = Decider(partition, context.partitions, context.kept, context.kafka.prefix, context.seal)

    async def process(self, records: Sequence[Record], unit: UnitOfWork, verdict: Verdict) -> None:
        """Answer the records, in order, into `unit`; as many as time and the size of a transaction allow."""
        pace = Pace()
        lookup = Lookup(self._context.definitions, self._context.reply_topics, self._consumer)
        read, answer, add = self._reading(verdict), self._decider.answer, unit.add
        for slice_ in _slices(records):
            commands: list[Incoming] = []
            for record in slice_:
                commands.append(read(record))
                if time.monotonic() > pace.turn_end:
                    await pace.rest()
            unit.load(command.execution_id for command in commands if type(command) is Readable)
            known = await lookup.find(commands, unit)
            for command in commands:
                state = unit.state_of(command.execution_id) if type(command) is Readable else None
                add(answer(command, state, known, unit.at))
                if unit.size > MAX_EVENTS_BYTES or unit.caused > MAX_CAUSED:
                    return
                if time.monotonic() > pace.turn_end:
                    if pace.is_over:
                        return
                    await pace.rest()
            await pace.rest()

    def _reading(self, verdict: Verdict) -> Callable[[Record], Incoming]:
        if verdict is Verdict.DECIDE:
            return self._reader.read
        return partial(set_aside, prefix=self._context.kafka.prefix, bare=verdict is Verdict.SET_ASIDE_BARE)


def _slices(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    return (records[begin : begin + SLICE] for begin in range(0, len(records), SLICE))


class Pace:
    """The pace of one batch, from now on. After `turn_end`, others have waited for long."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.turn_end = self._began + TURN_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the batch must end."""
        return time.monotonic() - self._began > MAX_SECONDS

    async def rest(self) -> None:
        """Let everything else have its turn."""
        await asyncio.sleep(0)
        self.turn_end = time.monotonic() + TURN_SECONDS
