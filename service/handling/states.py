"""Stage 6, remember: what a partition knows of its executions, and the timers that follow from it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from service.contracts.timestamps import Timestamp
from service.domain.decided import Edge
from service.domain.execution import Execution, Expected
from service.domain.timers import Timer, TimerKind
from service.handling.restoring import StoreRecords, until_ready
from service.handling.snapshots import EDGE_SIZE, decode_snapshot, edge_of, state_key
from service.handling.state_store import StateRecord, StateStore
from service.handling.timer_keys import TIMER_PREFIX, TIMER_SIZE, timer_key, timer_of

MAX_DUE: Final = 5_000
"""So many timers at a time, so that the transaction that carries them out stays quick."""

_AWAITED: Final = frozenset({TimerKind.READY, TimerKind.AWAIT, TimerKind.RESOLVE})
"""Somebody waits for these; the others can ring a little later."""

MAX_HOT: Final = 1_000
"""So many executions that were used last are kept unpacked, and at most so many again; each has 1.5 KB."""

MAX_UNWRITTEN: Final = 4_000
"""So many records are collected before they are written to the store: those of a short run replace each other."""

MAX_BACKLOG: Final = 5 * MAX_UNWRITTEN
"""With so many, a disk that is behind is waited for."""


class States:
    """The committed states, by executionId: those used last at hand, all of them in the store or on their way to it."""

    def __init__(self, store: StateStore, records: StoreRecords) -> None:
        self._store, self._records = store, records
        self._hot: dict[str, Execution | Expected | None] = {}
        self._cooling: dict[str, Execution | Expected | None] = {}
        self._unwritten: dict[bytes, bytes | None] = {}
        self._offset = store.offset
        self._next_due = self._next_awaited = None  # type: Timestamp | None
        self._note(self._first_timers(MAX_DUE))

    @property
    def count(self) -> int:
        """About how many executions are remembered."""
        return self._store.count

    def load(self, execution_ids: Iterable[str]) -> None:
        """Have at hand what `get` will be asked for; to look many up at once is quicker.

        Raises:
            StoreError: the store cannot be read.
            UnreadableSnapshotError: a later version wrote a state.
        """
        self._cool()
        missing = {state_key(id_): id_ for id_ in execution_ids if not self._is_hot(id_)}
        if not missing:
            return
        stored = [key for key in missing if key not in self._unwritten]
        values = dict(zip(stored, self._store.get(stored), strict=True)) if stored else {}
        for key, id_ in missing.items():
            value = values[key] if key in values else self._unwritten[key]
            self._hot[id_] = None if value is None else decode_snapshot(id_, value)

    def get(self, execution_id: str) -> Execution | Expected | None:
        """What is remembered of this execution; None if nothing is. Errors as of `load`."""
        if not self._is_hot(execution_id):
            self.load((execution_id,))
        return self._hot[execution_id]

    def remember(
        self,
        changed: Mapping[str, Execution | Expected | None],
        records: Iterable[StateRecord],
        timers: Iterable[Timer],
        offset: int,
    ) -> None:
        """Take over what a transaction has committed: states (None forgets), their records, timers; up to `offset`.

        Raises:
            StoreError: the store cannot be written; the topic has everything.
        """
        self._cool()
        self._hot.update(changed)
        self._unwritten.update(records)
        for timer in timers:
            self._unwritten[timer_key(timer)] = b""
            self._note((timer,))
        self._offset = offset
        if len(self._unwritten) >= MAX_UNWRITTEN and not self._store.is_busy:
            self._write()

    async def settle(self) -> None:
        """Wait for a disk that is far behind."""
        if len(self._unwritten) >= MAX_BACKLOG:
            await until_ready(self._store)
            self._write()

    def take_due(self, at: Timestamp) -> list[Timer]:
        """The timers that are due now, in order, at most `MAX_DUE`.

        They stay in the store until they are `rung`: if their transaction fails, they are found again.
        """
        if self._next_due is None or self._next_due >= at:
            return []
        if self._unwritten:
            self._write()
        timers = self._first_timers(MAX_DUE)
        due = [timer for timer in timers if timer.due < at]
        self._next_due = self._next_awaited = None
        self._note(timers[len(due) :] or (timers[-1:] if len(timers) == MAX_DUE else []))
        return due

    def rung(self, timers: Iterable[Timer], left: Sequence[Timer] = (), again: Sequence[Timer] = ()) -> None:
        """These have done what they were for; those that are `left` have not, and those `again` are set instead."""
        self._unwritten.update((timer_key(timer), None) for timer in timers)
        self._unwritten.update((timer_key(timer), b"") for timer in again)
        self._note((*left, *again))

    def seconds_left(self, at: Timestamp, least: float = 0) -> float | None:
        """How long it is until timers are to be carried out, but for those that somebody waits for at least so long.

        None if there are none.
        """
        if self._next_due is None:
            return None
        left = max((self._next_due - at).total_seconds(), least)
        if self._next_awaited is None:
            return left
        return min(left, max((self._next_awaited - at).total_seconds() + 0.001, 0))  # due is what is over

    def waiting_for(self, execution_id: str, most: int) -> list[Edge]:
        """Those that wait for this execution, at most so many, as far as all is written: see `take_due`."""
        return [edge_of(key, value) for key, value in self._store.scan(state_key(execution_id), EDGE_SIZE, most)]

    async def close(self) -> None:
        """Write what is not written yet, and close the store."""
        try:
            if self._unwritten:
                self._write()
        finally:
            await asyncio.to_thread(self._store.close)

    def _write(self) -> None:
        self._store.write(self._unwritten.items(), self._records.mark(self._offset))
        self._unwritten.clear()

    def _first_timers(self, most: int) -> list[Timer]:
        return [timer_of(key) for key, _ in self._store.scan(TIMER_PREFIX, TIMER_SIZE, most)]

    def _note(self, timers: Iterable[Timer]) -> None:
        """These are set."""
        for timer in timers:
            self._next_due = min(timer.due, self._next_due or timer.due)
            if timer.kind in _AWAITED:
                self._next_awaited = min(timer.due, self._next_awaited or timer.due)

    def _is_hot(self, execution_id: str) -> bool:
        if execution_id in self._cooling and execution_id not in self._hot:
            self._hot[execution_id] = self._cooling[execution_id]
        return execution_id in self._hot

    def _cool(self) -> None:
        if len(self._hot) > MAX_HOT:
            self._cooling, self._hot = self._hot, {}
