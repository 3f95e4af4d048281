"""Where Kafka's topics end now, as queries ask for it."""

from collections.abc import Mapping
from typing import Protocol


class LogEnds(Protocol):
    """Tells where the topics that are projected end."""

    async def ends(self) -> Mapping[tuple[str, int], int]:
        """Of each partition, by topic (our name) and number, the offset after the last committed record.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        ...
