"""How the projection stands, told from Kafka's side: a projector that is gone cannot say that it is."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from pydantic import Field

from service.contracts.model import Contract
from service.contracts.timestamps import Timestamp, from_epoch_ms
from service.ports.positions import PartitionPosition

_STALLED_MS: Final = 15_000
"""A projector commits every second, whatever happens."""


class ProjectionState(StrEnum):
    """Whether answers are what Kafka has."""

    FOLLOWING = "FOLLOWING"
    STALLED = "STALLED"
    NEVER_RAN = "NEVER_RAN"


class ProjectedPartition(Contract):
    """A partition: `stored` is the last offset in the read side (-1: none), `end` the one after Kafka's last."""

    topic: str
    partition: int
    stored: int
    end: int
    lag: int
    as_of: Timestamp | None = None


class ProjectionStatus(Contract):
    """How the projection stands. `lag`: how many offsets are not stored, transaction markers included."""

    state: ProjectionState = Field(
        description="FOLLOWING: every partition was committed within the last 15 seconds. STALLED: one was not, so "
        "answers lack what came since its `asOf`. NEVER_RAN: nothing was ever stored."
    )
    lag: int
    as_of: Timestamp | None = None
    partitions: tuple[ProjectedPartition, ...]


def is_stalled(as_of: Timestamp, now: Timestamp) -> bool:
    """Whether answers of this `asOf` lack what came since: the projector does not run, or cannot write."""
    return (now - as_of).total_seconds() * 1000 > _STALLED_MS


def projection_status(
    positions: Sequence[PartitionPosition], ends: Mapping[tuple[str, int], int], now: Timestamp
) -> ProjectionStatus:
    """What these positions and ends say of each partition, and of all."""
    known = {(position.topic, position.partition): position for position in positions}
    partitions = tuple(
        _partition(place, end, known.get(place)) for place, end in sorted(ends.items(), key=lambda item: item[0])
    )
    oldest = min((one.as_of for one in partitions if one.as_of), default=None)
    if oldest is None:
        state = ProjectionState.NEVER_RAN
    else:
        silent = any(one.as_of is None for one in partitions) or is_stalled(oldest, now)
        state = ProjectionState.STALLED if silent else ProjectionState.FOLLOWING
    return ProjectionStatus(state=state, lag=sum(one.lag for one in partitions), as_of=oldest, partitions=partitions)


def _partition(place: tuple[str, int], end: int, position: PartitionPosition | None) -> ProjectedPartition:
    topic, number = place
    stored = -1 if position is None else position.offset
    as_of = None if position is None else from_epoch_ms(position.as_of)
    return ProjectedPartition(
        topic=topic, partition=number, stored=stored, end=end, lag=max(0, end - 1 - stored), as_of=as_of
    )
