"""A second read model beside the one in use: made anew from the record, to be compared with it or to replace it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from service.ports.projection_store import DroppingStore, EventRow, RejectionRow


class Kind(StrEnum):
    """What is wrong with a row of the read model in use."""

    MISSING = "missing"
    SURPLUS = "surplus"
    DIFFERENT = "different"


class Difference(NamedTuple):
    """A row that is not as the record has it. `subject` is the execution's id, or a refused command's position."""

    table: str
    subject: str
    row: str
    kind: Kind


class Comparison(NamedTuple):
    """How many rows of each table were compared, and which of them differ."""

    rows: Mapping[str, int]
    differences: Sequence[Difference]


class TooManyDifferencesError(Exception):
    """So many rows differ that they are not worth looking at one by one: rebuild."""


class SecondStore(DroppingStore, Protocol):
    """What is projected while it is there reaches both; it is complete once everything older was inserted here.

    Raises:
        UnavailableError: by every method; try again later.
    """

    async def make(self) -> None:
        """Make it, empty; what an earlier one has left is removed."""
        ...

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        """As `ProjectionStore` does, here only."""
        ...

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        """As `ProjectionStore` does, here only."""
        ...

    async def carry_over(self, begins: Mapping[tuple[str, int], int]) -> None:
        """Copy what the one in use has of records before these offsets, which the record does not have any more."""
        ...

    async def put_in_place(self) -> None:
        """From now on it is the one in use; answers never lack anything meanwhile."""
        ...

    async def compare(self) -> Comparison:
        """Compare every row with the one in use. What is written meanwhile can differ for a moment.

        Raises:
            TooManyDifferencesError: rebuild.
        """
        ...

    async def repair(self, differences: Sequence[Difference]) -> None:
        """Make these subjects in the one in use as they are here."""
        ...

    async def remove(self) -> None:
        """Remove it, or what is left of it."""
        ...
