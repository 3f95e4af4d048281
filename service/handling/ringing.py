"""Timers that are due, as the transaction has them: those beyond its bounds wait for the next one."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from service.contracts.envelope import SOURCE, Envelope
from service.domain.decided import encoded
from service.domain.execution import Execution
from service.domain.ringing import AT_ONCE, Ringing, ring
from service.domain.timers import Timer, TimerKind
from service.handling.deciding import Rung
from service.handling.unit_of_work import UnitOfWork

MAX_CAUSED: Final = 2 * AT_ONCE
"""About so many commands are caused in one transaction."""


def ring_all(due: Sequence[Timer], unit: UnitOfWork, now: Ringing) -> int:
    """Let timers do what they are for; returns how many have, from the first one on."""
    unit.load(timer.execution_id for timer in due)
    for count, timer in enumerate(due):
        if unit.caused >= MAX_CAUSED:
            return count
        state = unit.state_of(timer.execution_id)
        known = state if isinstance(state, Execution) else None
        moment = now
        if timer.kind is TimerKind.RESOLVE:
            moment = replace(now, edges=unit.waiting_for(timer.execution_id, AT_ONCE))
        decision = ring(known, timer, moment)
        envelope = Envelope(f"{timer.execution_id}/{timer.kind}", SOURCE, timer.kind, timer.execution_id, None)
        unit.take(Rung(timer.execution_id, envelope, decision, encoded(decision)))
    return len(due)
