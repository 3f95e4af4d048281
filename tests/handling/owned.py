"""Stand-ins for what the owner of a partition opens and tells."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import TopicPartition

from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.execution import Execution
from service.domain.timers import Timer
from service.handling.bisection import Verdict
from service.kafka.records import Record
from tests.handling.stages import a_record, remembering

TP = TopicPartition(COMMANDS_TOPIC, 0)


def records(*offsets: int) -> list[Record]:
    return [a_record(offset) for offset in offsets]


class Consumer:
    """Notes what it is told; `resumed` is what comes of fetching again."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.polled: int | None = None
        self.end = 0
        self.resumed: Callable[[], None] = lambda: None

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.told.append((tp, offset))

    def resume(self, _tp: TopicPartition) -> None:
        self.told.append("resume")
        self.resumed()

    def pause(self, _tp: TopicPartition) -> None:
        self.told.append("pause")

    async def position(self, _tp: TopicPartition) -> int:
        return 7

    def last_stable_offset(self, _tp: TopicPartition) -> int:
        return self.end

    def last_poll_timestamp(self, _tp: TopicPartition) -> int | None:
        return self.polled

    def assignment(self) -> set[TopicPartition]:
        return {TP}


class Opened:
    """Opens at once; a transaction is what `work` makes of it, at first the answer that all are handled."""

    def __init__(self, *restored: Execution) -> None:
        self.states = remembering(*restored)
        self.restored, self.next_offset = restored, 7
        self.calls: list[tuple[list[int], list[Timer], Verdict]] = []
        self.heard: list[Timestamp | None] = []
        self.opened = self.discarded = 0
        self.work: Callable[[Sequence[Record]], Awaitable[int]] = self.all_of

    async def all_of(self, records: Sequence[Record]) -> int:
        return len(records)

    async def open(self) -> None:
        self.states = remembering(*self.restored)
        self.opened += 1

    async def transact(
        self, records: Sequence[Record], due: Sequence[Timer], verdict: Verdict, until: Timestamp | None
    ) -> int:
        assert (until is not None) == bool(due)
        self.heard.append(until)
        self.calls.append(([record.offset for record in records], list(due), verdict))
        answered = await self.work(records)
        self.states.rung(due)
        if answered:
            self.next_offset = records[answered - 1].offset + 1
        return answered

    async def discard(self) -> None:
        self.discarded += 1
