"""Makes the read model anew beside the one in use, from the topics, which have all of it: to replace or verify it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import TopicPartition

from service.kafka.connection import Kafka
from service.ports.progress import Tell
from service.ports.projection_store import ProjectionStore
from service.ports.retentions import Retentions
from service.ports.second_store import Comparison, Difference, SecondStore, TooManyDifferencesError
from service.projection.housekeeping import drop_due
from service.projection.replay import Span, present_span, replay
from service.projection.rows import UnreadableRecordError

_UNDER_WAY_SECONDS: Final = 2.0
"""An insert that was under way while two tables were compared is in both of them by then."""

_PROJECTOR_SECONDS: Final = 60.0


class ProjectorBehindError(Exception):
    """The projector does not follow: what it has not written yet cannot be compared."""


REBUILD_ERRORS: Final = (ProjectorBehindError, TooManyDifferencesError, UnreadableRecordError)
"""Errors whose message tells whoever runs it all there is to know."""


class Verified(NamedTuple):
    """Of how many records; which rows were not as these make them, and how many still are not."""

    records: int
    comparison: Comparison
    left: int


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """`live` is the read model in use, `second` the one beside it. The projector may run meanwhile."""

    live: ProjectionStore
    second: SecondStore
    kafka: Kafka
    partitions: int
    retentions: Retentions = Retentions()  # noqa: RUF009 - frozen
    clock: Callable[[], float] = time.time

    async def rebuild(self, tell: Tell) -> int:
        """Replace the read model by one that was made anew; returns of how many records.

        Answers are given all the time, from the old one and then from the new one. Killed on the way, the old one
        stays.

        Raises:
            KafkaError: the broker does not answer.
            UnavailableError: the store does not.
            UnreadableRecordError: a record that this version cannot read.
        """
        async with self._filled(tell) as (count, span):
            # A row that is on its way while the tables change places may come into the old ones only.
            on_its_way = await self._not_committed(span)
            await self.second.put_in_place()
            present = await present_span(self.kafka, self.partitions)
            await replay(self.live, self.kafka, Span(on_its_way, present.ends), "Reading what came since", tell)
        return count

    async def verify(self, tell: Tell, *, repairing: bool) -> Verified:
        """Compare every row of the read model with what the topics make, and make equal what differs.

        Raises:
            ProjectorBehindError: it has not come to where the topics ended.
            TooManyDifferencesError: rebuild.
            KafkaError, UnavailableError, UnreadableRecordError: see `rebuild`.
        """
        async with self._filled(tell) as (count, span):
            await self._caught_up(span, tell)
            await self._drop_due()
            comparison = await self._differing(tell, "Comparing")
            left = len(comparison.differences)
            if repairing and left:
                await self.second.repair(comparison.differences)
                left = len((await self._differing(tell, "Comparing again")).differences)
        return Verified(count, comparison, left)

    @asynccontextmanager
    async def _filled(self, tell: Tell) -> AsyncIterator[tuple[int, Span]]:
        await self.second.make()
        try:
            span = await present_span(self.kafka, self.partitions)
            begins = {(self.kafka.our_name(tp.topic), tp.partition): begin for tp, begin in span.begins.items()}
            await self.second.carry_over({place: begin for place, begin in begins.items() if begin})
            yield await replay(self.second, self.kafka, span, "Reading the topics", tell), span
        finally:
            await self.second.remove()

    async def _not_committed(self, span: Span) -> dict[TopicPartition, int]:
        """Of each partition of the span, its first offset that the projector has not committed."""
        known = {self.kafka.partition(at.topic, at.partition): at.offset for at in await self.live.positions()}
        return {tp: max(known.get(tp, -1) + 1, begin) for tp, begin in span.begins.items()}

    async def _caught_up(self, span: Span, tell: Tell) -> None:
        deadline = self.clock() + _PROJECTOR_SECONDS
        while (behind := await self._behind(span)) > 0:
            tell("Waiting for the projector", span.size - behind, span.size)
            if self.clock() > deadline:
                raise ProjectorBehindError(
                    f"The projector is {behind} offsets behind, and what it has not written cannot be compared. Start "
                    "it, wait until `taskexec projection status` says FOLLOWING, and begin again."
                )
            await asyncio.sleep(1)

    async def _behind(self, span: Span) -> int:
        reached = await self._not_committed(span)
        return sum(max(end - reached[tp], 0) for tp, end in span.ends.items())

    async def _drop_due(self) -> None:
        """What is due is dropped from both: only then do they have the same."""
        now = int(self.clock() * 1000)
        for store in (self.live, self.second):
            await drop_due(store, self.retentions, now)

    async def _differing(self, tell: Tell, what: str) -> Comparison:
        """What differs twice, a while apart: not what was just being written."""
        tell(what, 0, 2)
        first = await self.second.compare()
        tell(what, 1, 2)
        found: set[Difference] = set(first.differences)
        if found:
            await asyncio.sleep(_UNDER_WAY_SECONDS)
            found &= set((await self.second.compare()).differences)
        tell(what, 2, 2)
        return Comparison(first.rows, sorted(found))
