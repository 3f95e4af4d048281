"""A store's timers: keys that sort by when they are due. They follow from the states, so no topic has them."""

from typing import Final

from service.contracts.timestamps import Timestamp, epoch_ms
from service.domain.timers import Timer, TimerKind
from service.handling.snapshots import execution_id_of, state_key

TIMER_PREFIX: Final = b"\1"
TIMER_SIZE: Final = 26
"""Of a key, in bytes: the prefix, the time (ms since 1970, eight bytes), the kind, the execution's key."""

_KINDS: Final = (*TimerKind,)
_TIME_BYTES: Final = 8


def timer_key(timer: Timer) -> bytes:
    """The key of this timer."""
    due, kind = epoch_ms(timer.due).to_bytes(_TIME_BYTES), _KINDS.index(timer.kind).to_bytes()
    return TIMER_PREFIX + due + kind + state_key(timer.execution_id)


def timer_of(key: bytes) -> Timer:
    """The timer with this key."""
    end = 1 + _TIME_BYTES
    due = Timestamp.from_epoch_ms(int.from_bytes(key[1:end]))
    return Timer(due, execution_id_of(key[end + 1 :]), _KINDS[key[end]])
