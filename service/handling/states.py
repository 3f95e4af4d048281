"""Stage 6, remember: what a partition knows of its executions, and the timers that follow from it."""

import heapq
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from service.contracts.timestamps import Timestamp
from service.domain.execution import Execution
from service.domain.timers import Timer, timers_of

MAX_DUE: Final = 5_000
"""So many timers at a time, so that the transaction that carries them out stays quick."""


class States:
    """The committed states by executionId: the open ones, and those finished inside the idempotency window.

    Timers are not stored, for they follow from the states. One that no state has any more is let ring all the same.
    """

    def __init__(self, restored: Mapping[str, Execution], window: timedelta) -> None:
        self._states = dict(restored)
        self._timers = [timer for state in restored.values() for timer in timers_of(state, window)]
        heapq.heapify(self._timers)

    def __len__(self) -> int:
        return len(self._states)

    def get(self, execution_id: str) -> Execution | None:
        """What is remembered of this execution; None if nothing is."""
        return self._states.get(execution_id)

    def remember(self, changed: Mapping[str, Execution | None], timers: Iterable[Timer]) -> None:
        """Take over what a transaction has committed; None forgets."""
        for execution_id, state in changed.items():
            if state is None:
                self._states.pop(execution_id, None)
            else:
                self._states[execution_id] = state
        for timer in timers:
            heapq.heappush(self._timers, timer)

    def take_due(self, at: Timestamp) -> list[Timer]:
        """The timers that are due now, in order, at most `MAX_DUE`.

        They are given once: if their transaction fails, all of this must be made anew from what was committed.
        """
        due: list[Timer] = []
        while self._timers and self._timers[0].due < at and len(due) < MAX_DUE:
            due.append(heapq.heappop(self._timers))
        return due

    def seconds_left(self, at: Timestamp) -> float | None:
        """How long it is until the next timer is due; None if there is none."""
        return (self._timers[0].due - at).total_seconds() if self._timers else None
