"""The state topic's records, packed and read again."""

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from service.contracts.events import Dependency, Retry
from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.domain.decided import Edge
from service.domain.execution import Execution, Expected
from service.domain.terms import NONE, Attempt, Claim, Terms
from service.handling.snapshots import (
    EDGE_SIZE,
    POSITION_KEY,
    UnreadableSnapshotError,
    decode_snapshot,
    edge_of,
    edge_record,
    encode_snapshot,
    execution_id_of,
    has_terms,
    is_state_key,
    state_key,
)
from tests.handling.stages import AT, created, finished, state_after
from tests.ids import id_of

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
        assert decode_snapshot(state.execution_id, encode_snapshot(state)) == state


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


EVERYTHING = Terms(
    upstreams=(Dependency(id_of("up"), "collect", "go"), Dependency(id_of("other"), "load")),
    not_before=AT,
    ready_at=AT,
    start_timeout=timedelta(seconds=90),
    run_timeout=timedelta(days=2, milliseconds=1),
    claim=Claim("worker-1", timedelta(seconds=30), AT),
    attempt=Attempt(Retry(3, timedelta(seconds=1), 1.5), id_of("first"), 2, b'{"n":1}'),
    is_announced=True,
    is_awaited=True,
    true_outputs=("go",),
    retried_by=id_of("next"),
)


@pytest.mark.parametrize("terms", [Terms(is_awaited=True), EVERYTHING])
@pytest.mark.parametrize("sensitive", [None, Sensitive(("token",), ())])
def test_terms_are_packed_too(terms: Terms, sensitive: Sensitive | None) -> None:
    state = replace(state_after(created("a")), terms=terms, sensitive=sensitive)
    value = encode_snapshot(state)
    assert (value[:1], has_terms(value)) == (b"\5", True)
    assert decode_snapshot(state.execution_id, value) == state
    assert not has_terms(encode_snapshot(replace(state, terms=NONE)))


def test_one_that_is_expected_is_packed_as_such() -> None:
    value = encode_snapshot(Expected((id_of("a"), id_of("b"))))
    assert value[:1] == b"\6"
    assert decode_snapshot(id_of("c"), value) == Expected((id_of("a"), id_of("b")))


@pytest.mark.parametrize("condition", [None, "go", "é"])
def test_who_waits_for_whom_is_packed(condition: str | None) -> None:
    edge = Edge(id_of("up"), id_of("down"), condition)
    key, value = edge_record(edge)
    assert (len(key), is_state_key(key), key[:16]) == (EDGE_SIZE, False, state_key(id_of("up")))
    assert edge_of(key, value) == edge
