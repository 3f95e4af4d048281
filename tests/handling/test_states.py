"""Stage 6: what a partition remembers, and which timers are due when. No broker, no disk."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import cast

import pytest

from service.domain.execution import Execution, Expected
from service.domain.timers import Timer, TimerKind
from service.handling import states as module
from service.handling.snapshots import encode_snapshot, state_key
from service.handling.states import States
from tests.handling.stages import AT, WINDOW, MemoryStore, created, finished, remembering, state_after, timer_of
from tests.ids import id_of

MOMENT = timedelta(milliseconds=1)
LATER = AT + timedelta(hours=30)


def timer(seconds: int, name: str = "a") -> Timer:
    return Timer(AT + timedelta(seconds=seconds), id_of(name), TimerKind.FORGET)


def remember(
    states: States, changed: Mapping[str, Execution | None], timers: Iterable[Timer] = (), offset: int = 1
) -> None:
    """Take over what a transaction committed, with its records."""
    changed = {id_of(name): state for name, state in changed.items()}
    records = [(state_key(id_), None if state is None else encode_snapshot(state)) for id_, state in changed.items()]
    states.remember(changed, records, timers, offset)


def store_of(states: States) -> MemoryStore:
    return cast("MemoryStore", states._store)


def get(states: States, *names: str) -> list[Execution | Expected | None]:
    return [states.get(id_of(name)) for name in names]


def test_it_remembers_what_was_restored_and_what_was_committed() -> None:
    states = remembering(finished("a"), state_after(created("b")))
    remember(states, {"b": finished("b"), "c": state_after(created("c"))})
    assert get(states, *"abcd") == [finished("a"), finished("b"), state_after(created("c")), None]


def test_none_forgets_and_what_is_unknown_is_forgotten_already() -> None:
    states = remembering(finished("a"), finished("b"))
    remember(states, {"a": None, "never": None})
    assert get(states, "a", "never", "b") == [None, None, finished("b")]


@pytest.mark.parametrize("unwritten", [1, 1_000])
def test_what_is_not_at_hand_any_more_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch, unwritten: int) -> None:
    """In the store, or on its way to it; the newest wins, and what was forgotten stays so."""
    monkeypatch.setattr(module, "MAX_HOT", 2)
    monkeypatch.setattr(module, "MAX_UNWRITTEN", unwritten)
    states = remembering(*(state_after(created(f"old {n}")) for n in range(10)))
    remember(states, {f"old {n}": finished(f"old {n}") for n in range(5)} | {"old 9": None})
    remember(states, {f"new {n}": finished(f"new {n}") for n in range(10)})
    for _ in range(3):
        for n in range(10):
            assert get(states, f"new {n}") == [finished(f"new {n}")]
        for n in range(5):
            assert get(states, f"old {n}") == [finished(f"old {n}")]
        assert get(states, "old 8", "old 9", "never") == [state_after(created("old 8")), None, None]


def test_so_many_are_at_hand_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HOT", 5)
    names = [str(number) for number in range(50)]
    states = remembering(*map(finished, names))
    for _ in range(3):
        for begin in range(0, 50, 3):
            states.load(map(id_of, names[begin : begin + 3]))
            assert len(states._hot) <= 5 + 3
            assert get(states, *names[begin : begin + 3]) == [*map(finished, names[begin : begin + 3])]
        assert len(states._cooling) <= 5 + 3


def test_those_of_a_slice_are_looked_up_together_and_once() -> None:
    states = remembering(*map(finished, "abc"))
    asked: list[list[bytes]] = []
    original = store_of(states).get

    def get_(keys: Sequence[bytes]) -> list[bytes | None]:
        asked.append([*keys])
        return original(keys)

    store_of(states).get = get_  # type: ignore[method-assign]
    states.load(map(id_of, "abd"))
    states.load(map(id_of, "abd"))
    assert get(states, *"abd") == [finished("a"), finished("b"), None]
    assert asked == [[state_key(id_of(name)) for name in "abd"]]


def test_the_store_gets_what_is_committed_with_its_offset_and_a_busy_one_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_UNWRITTEN", 2)
    states = remembering()
    store = store_of(states)
    remember(states, {"a": state_after(created("a"))}, offset=5)
    remember(states, {"a": finished("a")}, offset=6)
    assert (store.mark and store.mark.offset, store.records) == (0, {})
    store.is_busy = True
    remember(states, {"b": finished("b")}, offset=7)
    assert store.records == {}
    store.is_busy = False
    remember(states, {"c": None}, offset=8)
    assert store.mark.offset == 8 if store.mark else False
    assert store.records == {state_key(id_of(name)): encode_snapshot(finished(name)) for name in "ab"}


async def test_a_disk_that_is_far_behind_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG", 2)
    states = remembering()
    remember(states, {"a": finished("a")})
    await states.settle()
    assert store_of(states).records == {}
    remember(states, {"b": finished("b")})
    await states.settle()
    assert len(store_of(states).records) == 2


async def test_closing_writes_what_is_left() -> None:
    states = remembering()
    remember(states, {"a": finished("a")}, offset=9)
    await states.close()
    store = store_of(states)
    assert (store.is_closed, store.mark and store.mark.offset, len(store.records)) == (True, 9, 1)


def test_restored_states_bring_their_timers() -> None:
    old, new = finished("old", AT - MOMENT), finished("new", AT)
    states = remembering(new, state_after(created("open")), old)
    assert states.take_due(LATER) == [timer_of(old), timer_of(new)]


def test_what_is_kept_for_ever_has_no_timers() -> None:
    states = remembering(finished("a"), kept=None)
    assert (states.take_due(LATER), states.seconds_left(AT)) == ([], None)


def test_what_is_due_exactly_now_is_not_due_yet() -> None:
    states = remembering(finished("a"))
    assert states.take_due(AT + WINDOW) == []
    assert states.take_due(AT + WINDOW + MOMENT) == [timer_of(finished("a"))]


def test_timers_are_given_in_the_order_in_which_they_are_due_until_they_are_rung() -> None:
    states = remembering()
    remember(states, {}, [timer(3), timer(1, "b"), timer(9)])
    remember(states, {}, [timer(2), timer(1, "a")])
    due = states.take_due(AT + timedelta(seconds=5))
    assert [one.due for one in due] == [timer(seconds).due for seconds in (1, 1, 2, 3)]
    assert set(due) == {timer(1, "a"), timer(1, "b"), timer(2), timer(3)}
    states.rung(due)
    assert states.take_due(AT + timedelta(seconds=5)) == []
    assert states.take_due(LATER) == [timer(9)]


def test_so_many_are_given_at_a_time_and_the_others_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DUE", 3)
    states = remembering()
    remember(states, {}, map(timer, range(5)))
    given = []
    for _ in range(3):
        due = states.take_due(LATER)
        given.append(len(due))
        states.rung(due)
    assert given == [3, 2, 0]


def test_a_timer_rings_though_its_execution_is_forgotten() -> None:
    states = remembering(finished("a"))
    remember(states, {"a": None})
    assert states.take_due(LATER) == [timer_of(finished("a"))]


def test_the_seconds_to_the_next_timer() -> None:
    states = remembering()
    assert states.seconds_left(AT) is None
    remember(states, {}, [timer(7), timer(5)])
    assert states.seconds_left(AT) == 5
    assert states.seconds_left(AT + timedelta(seconds=6), 1) == 1
    states.rung(states.take_due(AT + timedelta(seconds=6)))
    assert states.seconds_left(AT) == 7
    states.rung(states.take_due(AT + timedelta(seconds=8)))
    assert states.take_due(LATER) == []
    assert states.seconds_left(AT) is None
