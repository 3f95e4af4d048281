"""Follows the events topic, once for all readers of this process, from the first one on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import structlog
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from service.contracts.problems import Code, reject
from service.kafka.connection import Kafka
from service.kafka.records import get_many
from service.kafka.tailing import Tail, tailing
from service.live import metrics
from service.live.choosing import chooser
from service.live.places import no_such_id, read_id
from service.live.reader import Reader
from service.live.ring import MAX_ENTRIES, Ring
from service.ports.live import FollowTaskExecutions

log = structlog.get_logger(__name__)

START_SECONDS: Final = 5.0
"""How long the first reader waits for Kafka."""

_ALIVE_SECONDS: Final = 15.0
_NEWS_SECONDS: Final = 5.0
_POLL_MS: Final = 1_000
_PAUSE_SECONDS: Final = 1.0
_MOST_RECORDS: Final = 1_000
_LEAST_REST: Final = 0.01
_REST_FOR_EACH: Final = 0.0002
"""Seconds between one telling and the next, for each reader: more events go into one piece, so that half of the
process is left for who asks for something else."""

_AT_ONCE: Final = 50
"""So many readers are woken before others have their turn."""

_AT_KAFKA: Final = 8
"""So many readers at once go on from what is not in the ring any more: each reads Kafka for itself."""


class LiveFollower:
    """`LiveEvents`. `run` reads from the end of the topic on, and from a little before it, for those who come back.

    A reader costs no memory of its own but for the piece that is on its way: one that falls behind what is kept of the
    newest events is let go of, and goes on by its id.
    """

    def __init__(self, kafka: Kafka, partitions: int, *, max_entries: int = MAX_ENTRIES) -> None:
        self._kafka, self._partitions, self._max_entries = kafka, partitions, max_entries
        self._asked, self._following = asyncio.Event(), asyncio.Event()
        self._catching_up, self._checking = asyncio.Semaphore(_AT_KAFKA), asyncio.Semaphore(_AT_KAFKA)
        self._ring: Ring | None = None
        self._tail: Tail | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._readers = 0
        self._closed = False

    @property
    def readers(self) -> int:
        """See `LiveEvents`."""
        return self._readers

    def close(self) -> None:
        """Tell nobody any more: the process ends."""
        self._closed = True
        self._wake(list(self._waiting))

    async def run(self) -> None:
        """Follow until cancelled. While Kafka does not answer, readers hear nothing, and then go on."""
        await self._asked.wait()
        while True:
            try:
                starts = dict(enumerate(self._ring.next_offsets)) if self._ring else None
                async with tailing(self._kafka, self._partitions, starts, back=self._max_entries // 10) as tail:
                    self._tail = tail
                    await self._follow(tail)
            except OffsetOutOfRangeError:
                log.warning("live_events_begin_anew")
                self._ring = None
                self._wake(list(self._waiting))
            except KafkaError as error:
                log.warning("live_events_interrupted", error=repr(error))
            self._tail = None
            self._following.clear()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def follow(self, wanted: FollowTaskExecutions) -> AsyncGenerator[bytes, None]:
        """See `LiveEvents`."""
        self._asked.set()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._following.wait()
                ring = self._ring
                assert ring is not None  # noqa: S101 - it is followed
                place = ring.next_offsets
                if wanted.last_event_id is not None:
                    place = read_id(wanted.last_event_id, self._partitions)
                    await self._check(ring, place)
        except (KafkaError, TimeoutError):
            detail = "The events cannot be read now: Kafka does not answer. Ask again in a few seconds."
            raise reject(Code.UNAVAILABLE, detail) from None
        reader = Reader(place, chooser(wanted), payloads=wanted.payloads)
        return self._told(reader, ring, ring.end if wanted.last_event_id is None else None)

    async def _check(self, ring: Ring, place: Sequence[int]) -> None:
        """Refuse to go on where something is missing, or where nothing ever was."""
        if ring.covers(place) and not await self._beyond(ring, place):
            return
        async with self._checking, tailing(self._kafka, self._partitions, back=1 << 62) as tail:
            if any(offset > tail.ends[number] for number, offset in enumerate(place)):
                raise no_such_id("is of a place that the events have not come to")
            if any(offset < tail.starts[number] for number, offset in enumerate(place)):
                raise no_such_id("is of a time of which not all events are kept")

    async def _beyond(self, ring: Ring, place: Sequence[int]) -> bool:
        """Whether it is a place that was not come to here; one past the marks of transactions was."""
        for number, mine in enumerate(place):
            if mine > ring.next_offsets[number] and (not self._tail or mine > await self._tail.position(number)):
                return True
        return False

    async def _follow(self, tail: Tail) -> None:
        ring = self._ring = self._ring or Ring(tail.starts, self._max_entries)
        missing = {number for number, end in tail.ends.items() if ring.next_offsets[number] < end}
        while True:
            missing = {number for number in missing if await tail.position(number) < tail.ends[number]}
            if not missing:
                self._following.set()
            fetched = await get_many(tail.consumer, 100 if missing else _POLL_MS, _MOST_RECORDS)
            for records in fetched.values():
                for record in records:
                    ring.add(record)
                metrics.EVENTS_READ.inc(len(records))
            if fetched:
                await self._tell()

    async def _tell(self) -> None:
        waiting = list(self._waiting)
        for first in range(0, len(waiting), _AT_ONCE):
            self._wake(waiting[first : first + _AT_ONCE])
            await asyncio.sleep(0)
        await asyncio.sleep(_LEAST_REST + _REST_FOR_EACH * self._readers)

    @staticmethod
    def _wake(waiting: Sequence[asyncio.Future[None]]) -> None:
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def _told(self, reader: Reader, ring: Ring, number: int | None) -> AsyncGenerator[bytes, None]:
        """The stream; `number` is that of the first entry to tell, None for who goes on from an id."""
        self._readers += 1
        metrics.READERS.inc()
        try:
            yield b"retry: 2000\n" + reader.place
            clock = asyncio.get_running_loop().time
            said = clock()
            async with aclosing(self._pieces(reader, ring, number)) as pieces:
                async for piece in pieces:
                    if piece or clock() - said >= _ALIVE_SECONDS:
                        said = clock()
                        yield piece or b": alive\n" + reader.place
        finally:
            self._readers -= 1
            metrics.READERS.dec()

    async def _pieces(self, reader: Reader, ring: Ring, number: int | None) -> AsyncGenerator[bytes, None]:
        """What is to be told; an empty piece, every few seconds at least, where it is nothing."""
        if number is None:
            while not ring.covers(reader.next_offsets):
                try:
                    async with aclosing(self._older(reader, ring)) as older:
                        async for piece in older:
                            yield piece
                except OffsetOutOfRangeError:  # it ends here; who comes back is told why
                    return
                if not self._goes_on(ring):
                    return
            number = ring.first
        while self._goes_on(ring):
            if number < ring.first:
                metrics.TOO_SLOW.inc()
                return
            piece, taken = reader.told(ring.since(number, _MOST_RECORDS))
            number += taken
            yield piece
            if not piece:
                await (self._news() if number == ring.end else asyncio.sleep(0))

    def _goes_on(self, ring: Ring) -> bool:
        return not self._closed and self._ring is ring

    async def _news(self) -> None:
        """Wait until there is something to tell, a few seconds at most."""
        told = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        try:
            await asyncio.wait([told], timeout=_NEWS_SECONDS)
        finally:
            self._waiting.discard(told)

    async def _older(self, reader: Reader, ring: Ring) -> AsyncGenerator[bytes, None]:
        """What is not in the ring any more, until the reader has come to what is, or Kafka does not answer."""
        while self._catching_up.locked():
            yield b""
            await self._news()
        async with self._catching_up:
            try:
                async with tailing(self._kafka, self._partitions, dict(enumerate(reader.next_offsets))) as tail:
                    while not ring.covers(reader.next_offsets) and self._goes_on(ring):
                        yield b""
                        fetched = await get_many(tail.consumer, _POLL_MS, _MOST_RECORDS)
                        for records in fetched.values():
                            for piece in reader.told_of(records):
                                yield piece
                        # Where no event is to come before the position, but a mark of a transaction was: it is passed.
                        positions = [await tail.position(number) for number in range(self._partitions)]
                        reader.next_offsets = list(map(max, reader.next_offsets, positions))
            except OffsetOutOfRangeError:
                raise
            except KafkaError as error:
                log.warning("live_events_interrupted", error=repr(error))
                yield b""
                await asyncio.sleep(_PAUSE_SECONDS)
