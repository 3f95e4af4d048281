"""How fresh the read model is, and waiting until it is fresh enough."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from service.contracts.problems import Code, FieldError, RejectedError, reject
from service.contracts.replies import Position
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.ports.errors import UnavailableError
from service.ports.positions import PartitionPosition
from service.ports.read_model import ReadModel
from service.queries.projection import is_stalled

_POLL_SECONDS: Final = 0.05
_RECENT_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 2.5
"""Positions are few and small: a read model that does not tell them by then will not answer the query either."""

_GLANCE_SECONDS: Final = 0.1
"""It is waited for in such parts: a machine that stood still for seconds has not waited for longer than one."""

_NEAR: Final = 1_000
"""So many offsets are soon read over again."""

Positions = list[PartitionPosition]


@dataclass(frozen=True, slots=True)
class Freshness:
    """What every answer says of itself; its field names are those of the answers."""

    as_of: Timestamp | None
    lag: int | None


class Progress:
    """How far the read side has come. All that wait for it share one query at a time.

    Args:
        read_model: who is asked.
        partitions: how many partitions the events topic has.
        patience: how many seconds a query waits at most.
    """

    def __init__(self, read_model: ReadModel, partitions: int, patience: float) -> None:
        self._read_model, self._partitions, self._patience = read_model, partitions, patience
        self._polling = asyncio.Lock()
        self._next: asyncio.Task[Positions] | None = None
        self._known: tuple[float, Positions] = (float("-inf"), [])
        self._asked: asyncio.Task[Positions] | None = None

    async def freshness(self, min_position: str | None) -> Freshness:
        """How fresh an answer will be that is read after this; waits for `min_position` if there is one.

        Raises:
            RejectedError: INVALID_REQUEST, there is no such partition; PROJECTION_BEHIND, it did not come in time.
            UnavailableError: the read model cannot be reached now.
        """
        if min_position is None:
            return _summary(_of_events(await self.recent()))
        wanted = Position.parse(min_position)
        partition, offset = wanted.partition, wanted.offset
        if partition >= self._partitions:
            raise _no_partition(partition, self._partitions)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience
        positions = await self._read()
        while (come_to := _offset(positions, partition)) < offset:
            poll = self._next = self._next or self._poll()
            done, _ = await asyncio.wait([poll], timeout=deadline - clock())
            if not done:
                raise _behind(min_position, self._patience, f"{partition}:{come_to}" if come_to >= 0 else "nothing yet")
            positions = poll.result()
        return _summary(positions)

    async def next_offsets(self) -> list[int] | None:
        """Where the events go on that an answer which is read after this may lack: the next offset of each partition.

        None where that is not known, or so long ago that there may be very many.

        Raises:
            UnavailableError: the read model cannot be reached now.
        """
        positions = _of_events(await self.recent())
        fresh, known = _summary(positions), {position.partition: position.offset + 1 for position in positions}
        if fresh.as_of is None or is_stalled(fresh.as_of, Timestamp.now(UTC)) or (fresh.lag or 0) > _NEAR:
            return None
        return [known[number] for number in range(self._partitions)] if len(known) == self._partitions else None

    def _poll(self) -> asyncio.Task[Positions]:
        """A query that begins soon. Nobody who waits for it can end it, so it harms no other that one goes away."""

        async def poll() -> Positions:
            await asyncio.sleep(_POLL_SECONDS)
            async with self._polling:
                self._next = None  # who comes from now on needs a newer answer
                return await self._read()

        return _shared(poll(), "min-position")

    async def recent(self) -> Positions:
        """Of every partition of every topic that is projected, as they are, or were a moment ago.

        An answer may be fresher than it says.

        Raises:
            UnavailableError: the read model cannot be reached now, or takes too long.
        """
        clock = asyncio.get_running_loop().time
        at, positions = self._known
        if clock() - at <= _RECENT_SECONDS:
            return positions
        if self._asked is None:  # a page has several questions at once, and each asks for this
            self._asked = _shared(self._ask_now(clock()), "positions")
        return await asyncio.shield(self._asked)

    async def _ask_now(self, now: float) -> Positions:
        try:
            positions = await self._positions()
        finally:
            self._asked = None
        self._known = now, positions
        return positions

    async def _positions(self) -> Positions:
        asking = asyncio.ensure_future(self._read_model.positions())
        try:
            for _ in range(round(_ANSWER_SECONDS / _GLANCE_SECONDS)):
                if (await asyncio.wait([asking], timeout=_GLANCE_SECONDS))[0]:
                    return [*asking.result()]
            raise UnavailableError(f"no answer within {_ANSWER_SECONDS:g} s")
        finally:
            asking.cancel()

    async def _read(self) -> Positions:
        return _of_events(await self._positions())


def _shared(question: Coroutine[Any, Any, Positions], name: str) -> asyncio.Task[Positions]:
    task = asyncio.create_task(question, name=name)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more
    return task


def _of_events(positions: Positions) -> Positions:
    return [position for position in positions if position.topic == EVENTS_TOPIC]


def _summary(positions: Positions) -> Freshness:
    if not positions:
        return Freshness(None, None)
    return Freshness(Timestamp.from_epoch_ms(min(p.as_of for p in positions)), sum(p.lag for p in positions))


def _offset(positions: Positions, partition: int) -> int:
    return next((p.offset for p in positions if p.partition == partition), -1)


def _no_partition(partition: int, partitions: int) -> RejectedError:
    detail = f"there is no partition {partition}; they are 0 to {partitions - 1}. Give the position as you got it"
    error = FieldError(pointer="#/minPosition", detail=detail)
    return reject(Code.INVALID_REQUEST, "The request is not valid: see errors.", (error,))


def _behind(wanted: str, patience: float, come_to: str) -> RejectedError:
    return reject(
        Code.PROJECTION_BEHIND,
        f"The event at {wanted} has not reached the read side within {patience:g} s (it has come to {come_to}). "
        "Ask again, or without minPosition for what is known by now.",
    )
