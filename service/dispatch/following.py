"""Keeps the board as it is: by events from the end of the topic on, and by the read model for what was before."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from service.contracts.topics import EVENTS_TOPIC
from service.dispatch import metrics
from service.dispatch.board import LIMIT, Ready
from service.dispatch.known import Known
from service.kafka.connection import Kafka
from service.kafka.records import get_many
from service.kafka.tailing import tailing
from service.ports.errors import UnavailableError
from service.ports.pending import PendingExecution, PendingExecutions

log = structlog.get_logger(__name__)

_FETCH_WAIT_MS: Final = 20
"""A partition of which an event just came is asked for again after this, at the latest: each claim waits for that."""

_POLL_MS: Final = 1_000
_MOST_RECORDS: Final = 1_000
_TASKS_AT_ONCE: Final = 20
_CATCH_UP_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 1.0


class Follower:
    """Keeps what is known up to date. What the board lacks it reads when somebody asks for it: call `look` then."""

    def __init__(self, kafka: Kafka, partitions: int, pending: PendingExecutions, known: Known) -> None:
        self._kafka, self._pending, self._known, self._board = kafka, pending, known, known.board
        self._partitions = partitions
        self._next: dict[int, int] = {}
        self._asked = asyncio.Event()

    def look(self) -> None:
        """Look whether the board needs something."""
        if self._board.short:
            self._asked.set()

    async def run(self) -> None:
        """Follow until cancelled. While Kafka or the read model does not answer, the board stays what it was."""
        while True:
            try:
                async with self._reading_from_the_end() as consumer, asyncio.TaskGroup() as parts:
                    parts.create_task(self._follow(consumer))
                    parts.create_task(self._read())
            except* KafkaError as errors:
                log.warning("claims_interrupted", error=repr(errors.exceptions[0]))
            await asyncio.sleep(_PAUSE_SECONDS)

    @asynccontextmanager
    async def _reading_from_the_end(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with tailing(self._kafka, self._partitions, max_wait_ms=_FETCH_WAIT_MS) as tail:
            self._next |= tail.starts
            self._board.unknown()
            self.look()
            yield tail.consumer

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            fetched = await get_many(consumer, _POLL_MS, _MOST_RECORDS)
            now = asyncio.get_running_loop().time()
            self._known.peers.look(now)
            for partition, records in fetched.items():
                for record in records:
                    self._known.note(record, now)
                self._next[partition.partition] = records[-1].offset + 1
                metrics.EVENTS_READ.inc(len(records))
            metrics.READY.set(len(self._board))
            self.look()

    async def _read(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while task_ids := self._board.begin_reading(_TASKS_AT_ONCE):
                await self._read_oldest(task_ids)

    async def _read_oldest(self, task_ids: Sequence[str]) -> None:
        """Only once the read model has all that was published before the events that are followed: no gap."""
        outage = False
        needed = dict(self._next)
        while True:
            try:
                while not await self._has_come_to(needed):
                    if self._board.begin_anew():
                        needed = dict(self._next)
                    await asyncio.sleep(_CATCH_UP_SECONDS)
                found = await self._oldest(task_ids)
            except UnavailableError as error:
                if not outage:
                    outage = True
                    log.warning("claims_wait_for_read_model", error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
        for task_id in task_ids:
            rows, whole = found[task_id]
            ready = (Ready(row.execution_id, row.task_id, row.task_version, row.created_ms) for row in rows)
            self._board.fill(task_id, ready, whole=whole)

    async def _has_come_to(self, needed: dict[int, int]) -> bool:
        stored = {one.partition: one.offset for one in await self._pending.positions() if one.topic == EVENTS_TOPIC}
        return all(stored.get(partition, -1) >= offset - 1 for partition, offset in needed.items())

    async def _oldest(self, task_ids: Sequence[str]) -> dict[str, tuple[list[PendingExecution], bool]]:
        """By task, the oldest that can start, and whether that is all. Those that wait may be the oldest, and many."""
        by_task: dict[str, list[PendingExecution]] = defaultdict(list)
        for row in await self._pending.pending(task_ids, LIMIT):
            by_task[row.task_id].append(row)
        found: dict[str, tuple[list[PendingExecution], bool]] = {}
        for task_id in task_ids:
            rows = by_task[task_id]
            while len(rows) == LIMIT and all(row.waits for row in rows):
                rows = [*await self._pending.pending([task_id], LIMIT, rows[-1].place)]
            found[task_id] = [row for row in rows if not row.waits], len(rows) < LIMIT
        return found
