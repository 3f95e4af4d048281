"""Which timers are due: they are not stored, for they follow from the states."""

import heapq
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from service.contracts.timestamps import Timestamp
from service.domain.execution import Execution
from service.domain.timers import Timer, timers_of

MAX_DUE: Final = 5_000
"""So many at a time, so that the transaction that carries them out stays quick."""


class Timers:
    """The timers of a partition's executions, the next one first. A timer that no state has any more is let ring."""

    def __init__(self, states: Iterable[Execution], window: timedelta) -> None:
        self._heap = [timer for state in states for timer in timers_of(state, window)]
        heapq.heapify(self._heap)

    def add(self, timers: Iterable[Timer]) -> None:
        """Take in what a transaction has committed."""
        for timer in timers:
            heapq.heappush(self._heap, timer)

    def take_due(self, at: Timestamp) -> list[Timer]:
        """Those that are due now, at most `MAX_DUE`.

        They are given once: if their transaction fails, all of this must be made anew from the states.
        """
        due: list[Timer] = []
        while self._heap and self._heap[0].due < at and len(due) < MAX_DUE:
            due.append(heapq.heappop(self._heap))
        return due

    def seconds_left(self, at: Timestamp) -> float | None:
        """How long it is until the next one is due; None if there is none."""
        return (self._heap[0].due - at).total_seconds() if self._heap else None
