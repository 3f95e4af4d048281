"""How far the projection has come: written by the projector, read by it and by queries."""

from typing import NamedTuple


class PartitionPosition(NamedTuple):
    """Everything up to `offset` (-1: nothing) is stored; at `as_of` (epoch ms) the topic ended before `end_offset`.

    Offsets count transaction markers too, as Kafka does.
    """

    topic: str
    partition: int
    offset: int
    end_offset: int
    as_of: int

    @property
    def lag(self) -> int:
        """How many offsets are still missing."""
        return max(0, self.end_offset - 1 - self.offset)
