"""The state that an earlier version left is gone on with."""

import json
from collections import defaultdict
from datetime import timedelta

import pytest

from service.contracts.events import Event, read_event
from service.domain.execution import Execution, as_told, folded
from service.domain.timers import timers_of
from service.domain.view import describe, view
from service.handling.recovery import Restored
from service.handling.snapshots import UnreadableSnapshotError, decode_snapshot, encode_snapshot
from tests.upgrade.recorded import answers, records


def restored() -> dict[str, Execution]:
    """All that was remembered, whichever partition had it."""
    states = Restored()
    states.take(records("state"))
    return states.states


def lives() -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = defaultdict(list)
    for record in records("events"):
        event = read_event(dict(record.headers)["ce_type"].decode(), record.value or b"")
        events[event.execution_id].append(event)  # type: ignore[arg-type]  # they are of known types
    return events


def test_each_snapshot_is_read_as_the_events_would_have_made_it() -> None:
    states = restored()
    assert states == {id_: folded(None, events) for id_, events in lives().items()}
    assert {state.status for state in states.values()} == {
        "PENDING", "RUNNING", "SUCCESS", "FAILURE", "STOPPED", "SKIPPED"
    }  # fmt: skip
    assert len(states) == len(answers())


def test_whoever_repeats_a_command_of_then_is_told_the_same_as_then() -> None:
    events = lives()
    for id_, state in restored().items():
        for command in state.commands:
            then = view(events[id_][: command.sequence])
            now = describe(as_told(state, command))
            assert now == then.model_copy(
                update=dict.fromkeys(("resolved_inputs", "outputs", "error_message", "skip_reason"))
            )


def test_the_finished_ones_are_still_to_be_forgotten() -> None:
    for state in restored().values():
        assert len(timers_of(state, timedelta(hours=1))) == (1 if state.status.is_final else 0)


def test_a_snapshot_of_today_is_read_again() -> None:
    for state in restored().values():
        assert decode_snapshot(encode_snapshot(state)) == state


def test_what_a_later_version_added_to_a_state_is_never_dropped() -> None:
    state = next(iter(restored().values()))
    snapshot = json.loads(encode_snapshot(state))
    later = [
        {**snapshot, "version": 3},
        {**snapshot, "more": 1},
        {**snapshot, "execution": {**snapshot["execution"], "lease": None}},
        {**snapshot["execution"]},
    ]
    snapshot["execution"]["commands"][0].append("more")
    for refused in [*later, snapshot]:
        with pytest.raises(UnreadableSnapshotError, match="Upgrade this handler"):
            decode_snapshot(json.dumps(refused).encode())
