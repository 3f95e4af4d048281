"""The life of an owned partition: where it is, and what can follow."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a partition is in its life here."""

    OPENING = "opening"
    """Producer and state are being made; or there is a pause before that, after an error."""
    OPEN = "open"
    """It takes in records and works through them."""
    PARKED = "parked"
    """The group rebalances: it takes nothing in, but keeps producer and state in case it comes straight back."""
    CLOSED = "closed"
    """Over. Should the partition come back, another owner opens it."""


NEXT_PHASES: Final = {
    Phase.OPENING: {Phase.OPEN, Phase.CLOSED},
    Phase.OPEN: {Phase.OPENING, Phase.PARKED, Phase.CLOSED},
    Phase.PARKED: {Phase.OPEN, Phase.CLOSED},
    Phase.CLOSED: set[Phase](),
}
"""What can follow each phase; nothing else is allowed."""
