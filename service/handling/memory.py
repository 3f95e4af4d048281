"""What a partition remembers of its executions: the open ones, and those finished inside the idempotency window."""

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from service.domain.execution import Execution

MAX_FORGOTTEN: Final = 5_000
"""So many at a time, so that the transaction that says so stays quick."""


class Memory:
    """The committed states by executionId; `window` is how long finished ones are kept."""

    def __init__(self, states: dict[str, Execution], window: timedelta) -> None:
        self.states = states
        self._window = window
        # A heap: after a clock jumped back, older ones come later.
        self._finished = [(state.at, key) for key, state in states.items() if state.status.is_final]
        heapq.heapify(self._finished)

    def take_expired(self, at: datetime) -> list[str]:
        """The finished executions that leave the window now, to be forgotten by the next `apply`.

        They are given once: if their transaction fails, this memory must be thrown away like everything else.
        """
        expired: list[str] = []
        while self._finished and self._finished[0][0] < at - self._window and len(expired) < MAX_FORGOTTEN:
            expired.append(heapq.heappop(self._finished)[1])
        return expired

    def apply(self, changed: Mapping[str, Execution], forgotten: Iterable[str]) -> None:
        """Take over what a transaction has committed."""
        self.states.update(changed)
        for key, state in changed.items():
            if state.status.is_final:
                heapq.heappush(self._finished, (state.at, key))
        for key in forgotten:
            del self.states[key]
