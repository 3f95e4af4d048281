"""The state topic's records, packed and read again."""

import msgspec
import pytest
from msgspec.structs import replace

from service.contracts.status import Status
from service.domain.execution import Execution
from service.handling.snapshots import (
    POSITION_KEY,
    UnreadableSnapshotError,
    decode_snapshot,
    encode_snapshot,
    execution_id_of,
    is_state_key,
    state_key,
)
from tests.handling.stages import AT, created, finished, state_after

STATES = [
    state_after(created("open")),
    finished("done"),
    replace(finished("more"), tags=("a", "é"), started_at=AT, spark_application_id="app-1", sequence=70_000),
]


@pytest.mark.parametrize("state", STATES)
def test_what_is_packed_is_read_again(state: Execution) -> None:
    key = state_key(state.execution_id)
    assert (len(key), is_state_key(key), is_state_key(POSITION_KEY)) == (16, True, False)
    assert decode_snapshot(execution_id_of(key), encode_snapshot(state)) == state


def test_each_status_is_packed() -> None:
    for status in Status:
        state = replace(finished("a"), status=status)
        assert decode_snapshot(state.execution_id, encode_snapshot(state)).status is status


def test_what_a_later_version_added_to_a_state_is_never_dropped() -> None:
    state = STATES[1]
    value = encode_snapshot(state)
    fields = msgspec.msgpack.decode(value[1:])
    command = [*fields[-1][0], "more"]
    later = [
        b"\x04" + value[1:],
        b"",
        b"{}",
        value[:-1],
        value[:1] + msgspec.msgpack.encode([*fields, None]),
        value[:1] + msgspec.msgpack.encode([*fields[:-1], [command]]),
        value[:1] + msgspec.msgpack.encode(["1", *fields[1:]]),
    ]
    for refused in later:
        with pytest.raises(UnreadableSnapshotError):
            decode_snapshot(state.execution_id, refused)
