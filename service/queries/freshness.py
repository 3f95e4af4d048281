"""How fresh ClickHouse is, and waiting until it is fresh enough."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.clickhouse.client import ClickHouse
from service.clickhouse.positions import PartitionPosition, read_positions
from service.contracts.problems import Code, reject
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS

_EPOCH: Final = Timestamp.parse("1970-01-01T00:00:00Z")
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Freshness:
    """What every answer says of itself; its field names are those of the answers."""

    as_of: Timestamp | None
    lag: int | None


async def freshness(clickhouse: ClickHouse, min_position: str | None, patience: float) -> Freshness:
    """How fresh an answer will be that is read after this; waits for `min_position` if there is one.

    Raises:
        RejectedError: PROJECTION_BEHIND, it did not come within `patience` seconds.
        UnavailableError: ClickHouse cannot be reached now.
    """
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        positions = [position for position in await read_positions(clickhouse) if position.topic == EVENTS]
        if min_position is None or _passed(positions, min_position):
            return _summary(positions)
        if asyncio.get_running_loop().time() >= deadline:
            raise reject(
                Code.PROJECTION_BEHIND,
                f"The event at {min_position} has not reached the read side within {patience:g} s (it has come to "
                f"{_come_to(positions, min_position)}). Ask again, or without minPosition for what is known by now.",
            )
        await asyncio.sleep(_POLL_SECONDS)


def at(epoch_ms: int) -> Timestamp:
    """Epoch milliseconds as an aware time, exactly."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)


def _summary(positions: list[PartitionPosition]) -> Freshness:
    if not positions:
        return Freshness(None, None)
    return Freshness(at(min(p.as_of for p in positions)), sum(p.lag for p in positions))


def _passed(positions: list[PartitionPosition], wanted: str) -> bool:
    partition, offset = map(int, wanted.split(":"))
    return any(p.partition == partition and p.offset >= offset for p in positions)


def _come_to(positions: list[PartitionPosition], wanted: str) -> str:
    partition = int(wanted.split(":", maxsplit=1)[0])
    return next((f"{p.partition}:{p.offset}" for p in positions if p.partition == partition), "nothing of it")
