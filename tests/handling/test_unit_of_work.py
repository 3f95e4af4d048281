"""Stage 4: which records one transaction is made of, and what the commands after a command see. No broker."""

from datetime import timedelta

import pytest

from service.contracts.commands import StartTaskExecution, StopTaskExecution
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution, Expected
from service.domain.view import describe
from service.handling.batches import Outgoing
from service.handling.deciding import Answer, Misplaced, Repeated
from service.handling.snapshots import decode_snapshot, execution_id_of
from service.kafka.murmur2 import partition_of
from tests.handling.stages import (
    AT,
    REPLY_TO,
    WINDOW,
    Unit,
    a_record,
    accepted,
    created,
    finished,
    refused,
    ring,
    state_after,
    stopped,
    timer_of,
)

A, B, C = (f"{n}b1d4c52-0b0f-5d5c-8d5f-0123456789ab" for n in range(3))
NOW_MS = 1_772_366_400_123  # AT in epoch milliseconds
REPEATED = Repeated(a_record(), REPLY_TO, describe(state_after(created(A))))
MISPLACED = Misplaced(a_record(value=b"any", headers=[("x", None), ("x", b"1")], key=b"k", timestamp=7), 3)


def states_of(unit: Unit, next_offset: int = 1) -> list[tuple[str | bytes, Execution | Expected | bytes | None]]:
    """What is written to the state topic: snapshots by executionId, then the position."""
    unit.add_states(next_offset)
    *states, (_, position) = [(place, record) for place, record in unit.packed(STATE_TOPIC)]
    found = ((execution_id_of(record.key or b""), record.value) for _, record in states)
    return [
        *((id_, None if value is None else decode_snapshot(id_, value)) for id_, value in found),
        (position.key or b"", position.value),
    ]


def test_all_that_a_decision_says_is_packed() -> None:
    timer = timer_of(finished(A))
    targets = (StartTaskExecution(execution_id=B), StopTaskExecution(execution_id=C))
    unit = Unit(partition=2)
    unit.add(accepted(created(A), stopped(A), commands=targets, timers=[timer]))
    events = unit.packed(EVENTS_TOPIC)
    assert [(place, dict(event.headers)["ce_id"]) for place, event in events] == [
        (2, f"{A}/1".encode()),
        (2, f"{A}/2".encode()),
    ]
    assert {(place, command.key) for place, command in unit.packed(COMMANDS_TOPIC)} == {
        (partition_of(B.encode(), 4), B.encode()),
        (partition_of(C.encode(), 4), C.encode()),
    }
    assert unit.timers == [timer]
    assert states_of(unit) == [(A, finished(A)), (b"\0position", b"1")]
    assert [last for _, last in unit.replies] == [1]


def test_commands_for_one_partition_stay_in_order() -> None:
    unit = Unit(partitions=1)
    targets = [StartTaskExecution(execution_id=B), StopTaskExecution(execution_id=B)]
    unit.add(accepted(created(A), commands=targets))
    sent = [dict(command.headers)["ce_type"] for _, command in unit.packed(COMMANDS_TOPIC)]
    assert sent == [b"StartTaskExecution", b"StopTaskExecution"]


def test_an_asker_is_told_the_last_of_its_own_events_among_those_of_others() -> None:
    unit = Unit()
    answers = [
        accepted(created(A)), REPEATED, accepted(created(B), stopped(B), reply_to=None), refused(),
        accepted(created(C), stopped(C)), accepted(stopped(A), state=state_after(created(A))),
    ]  # fmt: skip
    for answer in answers:
        unit.add(answer)
    assert unit.replies == [
        (answers[0], 0), (answers[1], None), (answers[3], None), (answers[4], 4), (answers[5], 5)
    ]  # fmt: skip
    assert unit.count == 6
    assert unit.outcomes == {"accepted": 4, "duplicate": 1, "rejected": 1}
    assert unit.size == sum(len(event.value or b"") for _, event in unit.packed(EVENTS_TOPIC))


@pytest.mark.parametrize(("answer", "topic"), [(refused(), REJECTIONS_TOPIC), (REPEATED, None), (MISPLACED, None)])
def test_what_is_not_accepted_changes_no_state(answer: Answer, topic: str | None) -> None:
    unit = Unit(finished(A), partition=2)
    unit.add(answer)
    assert [place for place, _ in unit.packed(REJECTIONS_TOPIC)] == ([2] if topic else [])
    assert unit.packed(EVENTS_TOPIC) == []
    assert states_of(unit) == [(b"\0position", b"1")]
    assert (unit.timers, unit.count, unit.size, dict(unit.outcomes)) == ([], 1, 0, {answer.outcome: 1})


def test_what_belongs_elsewhere_is_passed_on_as_it_was_and_not_replied() -> None:
    unit = Unit()
    unit.add(MISPLACED)
    assert unit.packed(COMMANDS_TOPIC) == [(3, Outgoing(b"k", b"any", [("x", None), ("x", b"1")], 7))]  # type: ignore[list-item]  # as aiokafka has it
    assert unit.replies == []


def test_who_asks_for_no_reply_gets_none() -> None:
    unit = Unit()
    unit.add(accepted(created(A), reply_to=None))
    unit.add(refused(reply_to=None))
    assert unit.replies == []


def test_a_command_sees_what_those_before_it_did_and_nobody_else_does() -> None:
    unit = Unit(state_after(created(A)))
    unit.add(accepted(stopped(A), state=state_after(created(A))))
    unit.add(accepted(created(B)))
    assert (unit.state_of(A), unit.state_of(B), unit.state_of(C)) == (finished(A), state_after(created(B)), None)
    assert (unit.committed.get(A), unit.committed.get(B)) == (state_after(created(A)), None)


def test_of_each_execution_the_last_state_is_written_once_with_the_time_and_place_of_the_unit() -> None:
    unit = Unit(partition=3)
    unit.add(accepted(created(A)))
    unit.add(accepted(created(B)))
    unit.add(accepted(stopped(A), state=state_after(created(A))))
    assert states_of(unit, 17) == [
        (A, finished(A)), (B, state_after(created(B))), (b"\0position", b"17")
    ]  # fmt: skip
    assert {(place, record.timestamp, *record.headers) for place, record in unit.packed(STATE_TOPIC)} == {(3, NOW_MS)}


def test_a_timer_forgets_its_execution() -> None:
    unit = Unit(finished(A), finished(B))
    ring(unit, timer_of(finished(A)))
    assert unit.state_of(A) is None
    assert states_of(unit) == [(A, None), (b"\0position", b"1")]
    assert unit.count == 0
    assert unit.committed.get(A) == finished(A)


@pytest.mark.parametrize("now", [state_after(created(A)), finished(A, AT + timedelta(seconds=1)), finished(B)])
def test_a_timer_of_a_state_that_is_no_more_does_nothing(now: Execution) -> None:
    unit = Unit(now)
    ring(unit, timer_of(finished(A)))
    assert unit.changed == {}


def test_one_that_is_forgotten_and_made_anew_at_once_keeps_its_new_state() -> None:
    unit = Unit(finished(A))
    ring(unit, timer_of(finished(A)))
    unit.add(accepted(created(A, AT + WINDOW)))
    assert states_of(unit) == [(A, state_after(created(A, AT + WINDOW))), (b"\0position", b"1")]


def test_a_timer_finds_the_state_as_the_unit_has_made_it() -> None:
    unit = Unit(finished(A))
    unit.add(accepted(created(A, AT + WINDOW)))
    ring(unit, timer_of(finished(A)))
    assert unit.state_of(A) == state_after(created(A, AT + WINDOW))
