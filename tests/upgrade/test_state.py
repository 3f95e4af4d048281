"""The state that an earlier version left is gone on with."""

from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from service.contracts.events import Event, read_event
from service.domain.execution import Execution, as_told, folded
from service.domain.timers import timers_of
from service.domain.view import describe, view
from service.handling.deciding import Repeated
from service.handling.json_snapshots import decode_json_snapshot
from service.handling.restoring import OLD_PREFIX, OLD_SIZE, StoreRecords
from service.handling.snapshots import (
    UnreadableSnapshotError,
    decode_snapshot,
    encode_snapshot,
    execution_id_of,
    is_state_key,
    state_key,
)
from tests.handling.pure import EXECUTE, EXECUTION, START, answer, definition, known, state_after
from tests.handling.stages import AT, MemoryStore, state_record
from tests.upgrade.recorded import VERSION_1, VERSION_2, answers, records

VERSIONS = pytest.mark.parametrize("version", [VERSION_1, VERSION_2], ids=["1", "2"])
READING = StoreRecords("origin", timedelta(hours=1), lambda: AT)


def restored(version: Path) -> MemoryStore:
    """A store with all that was remembered, whichever partition had it."""
    store = MemoryStore()
    store.write(READING.of(records("state", version)), READING.mark(1))
    return store


def states(version: Path) -> dict[str, Execution]:
    found = ((execution_id_of(key), value) for key, value in restored(version).records.items() if is_state_key(key))
    return {id_: execution_of(id_, value) for id_, value in found}


def execution_of(id_: str, value: bytes) -> Execution:
    state = decode_snapshot(id_, value)
    assert isinstance(state, Execution)
    return state


def lives() -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = defaultdict(list)
    for record in records("events"):
        event = read_event(dict(record.headers)["ce_type"].decode(), record.value or b"")
        events[event.execution_id].append(event)  # type: ignore[arg-type]  # they are of known types
    return events


@VERSIONS
def test_each_snapshot_is_read_as_the_events_would_have_made_it(version: Path) -> None:
    found = states(version)
    assert found == {id_: folded(None, events) for id_, events in lives().items()}
    assert {state.status for state in found.values()} == {
        "PENDING", "RUNNING", "SUCCESS", "FAILURE", "STOPPED", "SKIPPED"
    }  # fmt: skip
    assert len(found) == len(answers())


@VERSIONS
def test_whoever_repeats_a_command_of_then_is_told_the_same_as_then(version: Path) -> None:
    events = lives()
    for id_, state in states(version).items():
        for command in state.commands:
            then = view(events[id_][: command.sequence])
            now = describe(as_told(state, command))
            assert now == then.model_copy(
                update=dict.fromkeys(("resolved_inputs", "outputs", "error_message", "skip_reason"))
            )


@VERSIONS
def test_the_finished_ones_are_still_to_be_forgotten(version: Path) -> None:
    finished = [state for state in states(version).values() if state.status.is_final]
    assert all(len(timers_of(state, timedelta(hours=1))) == 1 for state in finished)
    assert len(finished) == len([key for key in restored(version).records if key[:1] == b"\1" and len(key) == 26])


@VERSIONS
def test_all_of_them_are_still_to_be_carried_over(version: Path) -> None:
    old = [key for key, _ in restored(version).scan(OLD_PREFIX, OLD_SIZE, 1_000)]
    assert {key.removeprefix(OLD_PREFIX).decode() for key in old} == states(version).keys()


@VERSIONS
def test_what_is_carried_over_is_found_again_and_nothing_of_old(version: Path) -> None:
    """As the topic has it then: the old key forgotten, then the new one written; read from the start, or after it."""
    old = list(records("state", version))
    carried = []
    for id_, state in states(version).items():
        carried += [state_record(id_.encode(), None), state_record(state_key(id_), encode_snapshot(state))]
    for topic in ([*old, *carried], carried[1:], carried):
        store = MemoryStore()
        store.write(READING.of(topic), READING.mark(1))
        assert store.scan(OLD_PREFIX, OLD_SIZE, 1_000) == []
        assert {execution_id_of(key) for key in store.records if is_state_key(key)} == states(version).keys()


@VERSIONS
def test_what_an_earlier_version_forgot_stays_forgotten(version: Path) -> None:
    id_ = next(iter(states(version)))
    store = restored(version)
    store.write(READING.of([state_record(id_.encode(), None)]), READING.mark(2))
    assert store.get([state_key(id_), OLD_PREFIX + id_.encode()]) == [None, None]


def test_json_of_another_version_is_refused() -> None:
    for value in (b'{"version":3}', b"{}", b"[]", b"oops", b'{"version":2,"execution":{}}'):
        with pytest.raises(UnreadableSnapshotError, match="version 1 or 2"):
            decode_json_snapshot(value)


VERSION_3 = bytes.fromhex(
    "039c02a752554e4e494e47ac73616c65733a7265706f7274a5312e302e30a62f746573747390cf0000019cacb40dd5cf0000019cacb4f835cf"
    "0000019cacb4f835c0c09294c410d1ae70dbdb445ecdaaeaf0f7e3617b9cc410e4181ad1665d01c5d73284481f51fca001a750454e44494e47"
    "94c410905624d944a455ee8efe5ca921d950a9c410bd46e0f07cede8bd6d0c7b3144c271b102a752554e4e494e47"
)


def test_version_3_is_read_and_is_still_written_where_nothing_is_sensitive() -> None:
    """Its hashes are those of the same commands today: they are known again."""
    state = decode_snapshot(EXECUTION, VERSION_3)
    assert state == state_after(EXECUTE, START)
    assert encode_snapshot(state) == VERSION_3


def test_a_command_of_then_is_known_again_when_its_definition_has_marks_now() -> None:
    marked = definition(inputVariables=[{"name": "day", "type": "string", "sensitive": True}])
    found = answer(EXECUTE, execution_of(EXECUTION, VERSION_3), known(marked))
    assert isinstance(found, Repeated)
    assert found.execution.resolved_inputs == {"day": {"sealed": None}}
