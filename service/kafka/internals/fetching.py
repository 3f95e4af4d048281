"""Bounds what aiokafka's consumers hold, and how long they hold up the event loop, whatever clients have written.

aiokafka unpacks a batch whole, hands out so many *records* at a time, and raises on what it cannot parse; with the
exception it loses what it had taken from other partitions.
"""

import asyncio
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import consumer, fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.record.memory_records import _MemoryRecordsPy

from service.kafka.internals.partition_records import BoundedRecords, Turn
from service.kafka.records import Record

TURN_BYTES: Final = 4 << 20
"""So much is unpacked for one getmany(), and one batch more."""


def bound_fetching() -> None:
    """Bound all consumers that this process starts from now on. Call it as often as you like."""
    users: Any = consumer
    names: Any = fetcher
    users.Fetcher = BoundedFetcher
    names.MemoryRecords, names.PartitionRecords, names.FetchResult = _MemoryRecordsPy, BoundedRecords, _Result


class _Result(FetchResult):
    def check_assignment(self, tp: TopicPartition) -> bool:
        """Whether what is left may still be handed out; it is let go of if not."""
        records = self._partition_records
        valid: bool = super().check_assignment(tp)
        if records is not None and not valid:
            records.close()
        return valid

    def getall(self, max_records: int | None = None) -> list[Record]:
        """What there is, up to so many records, or until it is others' turn."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        records, found = self._partition_records, []
        if records.turn.left > 0:
            for record in records:
                if record is None:
                    break
                found.append(record)
                if len(found) == max_records:
                    break
            else:
                self._partition_records = None
            self._assignment.state_value(self._topic_partition).consumed_to(records.next_fetch_offset)
        return found

    def getone(self) -> Record | None:
        """The next record; None where there is none any more."""
        found: list[Record] = []
        while not found and self.has_more():
            self._partition_records.turn.left = TURN_BYTES
            found = self.getall(1)
        return found[0] if found else None


class BoundedFetcher(Fetcher):
    """Fetches for one consumer. Partitions take turns; one that is still at work is not waited for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - aiokafka's own signature
        super().__init__(*arguments, **options)
        self._turn = Turn(TURN_BYTES)

    async def fetched_records(
        self,
        partitions: tuple[TopicPartition, ...],
        timeout: float = 0,  # noqa: ASYNC109 - aiokafka's own signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[Record]]:
        """What getmany() gives: nothing, if in that time no record became whole."""
        self._next_turn()
        fetched: dict[TopicPartition, list[Record]] = await super().fetched_records(partitions, timeout, max_records)
        return fetched

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = super()._create_fetch_waiter()
        if self._next_turn():
            waiter.set_result(None)
        return waiter

    def _next_turn(self) -> bool:
        """Whether the last one was not long enough."""
        turn, patient = self._turn, self._turn.patient
        if patient is not None and not self._holds(patient):  # its partition went elsewhere, or was paused
            patient.close()
        was_short = turn.left <= 0 or (turn.queued and turn.patient is None)
        if turn.stopped in self._records:
            self._records.move_to_end(turn.stopped)
        turn.left, turn.stopped, turn.queued = TURN_BYTES, None, False
        return was_short

    def _holds(self, records: BoundedRecords) -> bool:
        result: Any = self._records.get(records._tp)  # noqa: SLF001 - a class of ours
        mine: bool = isinstance(result, _Result) and result._partition_records is records  # noqa: SLF001 - the same
        return mine and result.check_assignment(records._tp)  # noqa: SLF001 - the same

    async def _proc_fetch_request(self, *request: Any) -> bool:  # noqa: ANN401 - aiokafka's own signature
        woken: bool = await super()._proc_fetch_request(*request)
        for result in self._records.values():
            if isinstance(result, _Result) and result.has_more():
                result._partition_records.turn = self._turn  # noqa: SLF001 - a class of ours
        return woken
