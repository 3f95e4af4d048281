"""Stage 6: what a partition remembers, and which timers are due when. No broker."""

from datetime import timedelta

import pytest

from service.domain.execution import Execution
from service.domain.timers import Timer, TimerKind
from service.handling import states as module
from service.handling.states import States
from tests.handling.stages import AT, WINDOW, created, finished, state_after, timer_of

MOMENT = timedelta(milliseconds=1)
LATER = AT + timedelta(hours=30)


def restored(*known: Execution) -> States:
    return States({state.execution_id: state for state in known}, WINDOW)


def timer(seconds: int, execution_id: str = "a") -> Timer:
    return Timer(AT + timedelta(seconds=seconds), execution_id, TimerKind.FORGET)


def test_it_remembers_what_was_restored_and_what_was_committed() -> None:
    states = restored(finished("a"), state_after(created("b")))
    states.remember({"b": finished("b"), "c": state_after(created("c"))}, [])
    assert [states.get(id_) for id_ in "abcd"] == [finished("a"), finished("b"), state_after(created("c")), None]
    assert len(states) == 3


def test_none_forgets_and_what_is_unknown_is_forgotten_already() -> None:
    states = restored(finished("a"), finished("b"))
    states.remember({"a": None, "never": None}, [])
    assert (states.get("a"), states.get("b"), len(states)) == (None, finished("b"), 1)


def test_a_caller_s_mapping_stays_as_it_is() -> None:
    given = {"a": finished("a")}
    States(given, WINDOW).remember({"a": None}, [])
    assert given == {"a": finished("a")}


def test_restored_states_bring_their_timers() -> None:
    old, new = finished("old", AT - MOMENT), finished("new", AT)
    states = restored(new, state_after(created("open")), old)
    assert states.take_due(LATER) == [timer_of(old), timer_of(new)]


def test_what_is_due_exactly_now_is_not_due_yet() -> None:
    states = restored(finished("a"))
    assert states.take_due(AT + WINDOW) == []
    assert states.take_due(AT + WINDOW + MOMENT) == [timer_of(finished("a"))]


def test_timers_are_given_in_the_order_in_which_they_are_due_and_once() -> None:
    states = restored()
    states.remember({}, [timer(3), timer(1, "b"), timer(9)])
    states.remember({}, [timer(2), timer(1, "a")])
    assert states.take_due(AT + timedelta(seconds=5)) == [timer(1, "a"), timer(1, "b"), timer(2), timer(3)]
    assert states.take_due(AT + timedelta(seconds=5)) == []
    assert states.take_due(LATER) == [timer(9)]


def test_so_many_are_given_at_a_time_and_the_others_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DUE", 3)
    states = restored()
    states.remember({}, map(timer, range(5)))
    assert [len(states.take_due(LATER)) for _ in range(3)] == [3, 2, 0]


def test_a_timer_rings_though_its_execution_is_forgotten() -> None:
    states = restored(finished("a"))
    states.remember({"a": None}, [])
    assert states.take_due(LATER) == [timer_of(finished("a"))]


def test_the_seconds_to_the_next_timer() -> None:
    states = restored()
    assert states.seconds_left(AT) is None
    states.remember({}, [timer(7), timer(5)])
    assert states.seconds_left(AT) == 5
    assert states.seconds_left(AT + timedelta(seconds=6)) == -1
    states.take_due(AT + timedelta(seconds=6))
    assert states.seconds_left(AT) == 7
