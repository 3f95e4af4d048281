"""How long a batch may take, and when everything else has its turn."""

import asyncio
import time
from typing import Final

TURN_SECONDS: Final = 0.02
"""A command may be large, and its definition's patterns slow: after this long, everything else has its turn."""

MAX_SECONDS: Final = 1.0
"""Then a batch ends, however many records are left: its transaction must be over before its deadline."""


class Pace:
    """The pace of one batch, from now on."""

    def __init__(self) -> None:
        self._began = self._turn = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the batch must end."""
        return time.monotonic() - self._began > MAX_SECONDS

    @property
    def must_rest(self) -> bool:
        """Whether others have waited for long."""
        return time.monotonic() - self._turn > TURN_SECONDS

    async def rest(self) -> None:
        """Let everything else have its turn."""
        await asyncio.sleep(0)
        self._turn = time.monotonic()
