"""How far the projection has come, per topic and partition: written by the projector, read by it and by queries."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from service.read_model.clickhouse.driver import ClickHouse

_COLUMNS: Final = ("topic", "partition", "offset", "endOffset", "asOf")


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """Everything up to `offset` (-1: nothing) is in ClickHouse; at `as_of` (epoch ms) the topic ended before `end`.

    Offsets count transaction markers too, as Kafka does.
    """

    topic: str
    partition: int
    offset: int
    end: int
    as_of: int

    @property
    def lag(self) -> int:
        """How many offsets are still missing."""
        return max(0, self.end - 1 - self.offset)


async def read_positions(clickhouse: ClickHouse) -> list[PartitionPosition]:
    """The newest position of every partition that was ever checked in."""
    rows = await clickhouse.query(
        "SELECT topic, partition, max(p.offset) AS offset, max(endOffset) AS end, "
        "max(toUnixTimestamp64Milli(asOf)) AS as_of FROM projector_position AS p GROUP BY topic, partition"
    )
    return [PartitionPosition(**row) for row in rows]


async def write_positions(clickhouse: ClickHouse, positions: Sequence[PartitionPosition]) -> None:
    """Check in. Only after the insert of everything up to these offsets was acknowledged: never before, never with it.

    Several projectors may write: the farthest counts, and what it has acknowledged is there.
    """
    await clickhouse.insert("projector_position", _COLUMNS, [astuple(position) for position in positions])
