"""service.live.reader, ring and places: what one reader is told of the events that all share."""

import pytest

from service.contracts.status import Status
from service.kafka.records import Record
from service.live.choosing import chooser
from service.live.places import read_id, write_id
from service.live.reader import Reader
from service.live.ring import Ring
from service.ports.live import FollowTaskExecutions
from tests.queries.lives import life, raw_record, record

STARTS = {0: 10, 1: 20}


def a_ring(*records: Record, **bounds: int) -> Ring:
    ring = Ring(STARTS, **bounds)
    for one in records:
        ring.add(one)
    return ring


def ids(piece: bytes) -> list[str]:
    return [line[4:].decode() for line in piece.split(b"\n") if line.startswith(b"id: ")]


CREATED, STARTED, FAILED = life("a", Status.FAILURE)
SHARED = (record(CREATED, 10, 0), record(CREATED, 20, 1), record(STARTED, 12, 0))


def test_who_reads_in_step_is_told_where_all_are() -> None:
    piece, taken = Reader([10, 20], None, payloads=False).told(a_ring(*SHARED).since(0, 10))
    assert (ids(piece), taken) == (["0:11,1:20", "0:11,1:21", "0:13,1:21"], 3)


def test_who_saw_partitions_in_another_order_is_told_where_they_are_themselves() -> None:
    reader = Reader([10, 21], None, payloads=False)
    piece, _ = reader.told(a_ring(*SHARED).since(0, 10))
    assert ids(piece) == ["0:11,1:21", "0:13,1:21"]
    assert reader.place == b"id: 0:13,1:21\n\n"


def test_what_is_not_wanted_moves_the_place_all_the_same() -> None:
    reader = Reader([10, 20], chooser(FollowTaskExecutions(status=(Status.FAILURE,))), payloads=False)
    assert reader.told(a_ring(*SHARED).since(0, 10)) == (b"", 3)
    assert reader.place == b"id: 0:13,1:21\n\n"


def test_how_an_id_begins_is_looked_at() -> None:
    for prefix, count in ((CREATED.execution_id[:8], 3), ("0000", 0)):
        reader = Reader([10, 20], chooser(FollowTaskExecutions(id_prefix=prefix)), payloads=False)
        assert len(ids(reader.told(a_ring(*SHARED).since(0, 10))[0])) == count


@pytest.mark.parametrize("value", [None, b"{", b'{"executionId":7}'])
def test_an_event_that_cannot_be_read_is_no_silent_gap(value: bytes | None) -> None:
    bad = raw_record("events", value, [("ce_type", b"TaskExecutionCreated")], 10)
    piece, _ = Reader([10, 20], None, payloads=False).told(a_ring(bad, SHARED[1]).since(0, 10))
    assert piece.startswith(b": passed over an event that cannot be read: 0:10\n\n")
    assert ids(piece) == ["0:11,1:21"]


def test_data_is_one_line() -> None:
    spread = CREATED_SPREAD.replace(b",", b",\n")
    piece, _ = Reader([10, 20], None, payloads=False).told(
        a_ring(raw_record("events", spread, [("ce_type", b"TaskExecutionCreated")], 10)).since(0, 1)
    )
    assert [line.partition(b":")[0] for line in piece.split(b"\n")] == [b"id", b"event", b"data", b"", b""]


CREATED_SPREAD = SHARED[0].value or b""


def test_a_piece_does_not_become_too_large() -> None:
    large = [record(life(n, inputs={"text": "x" * 40_000})[0], 10 + n) for n in range(4)]
    reader = Reader([10, 20], None, payloads=True)
    piece, taken = reader.told(a_ring(*large).since(0, 10))
    assert (taken, len(ids(piece))) == (2, 2)
    assert len(list(Reader([10, 20], None, payloads=True).told_of(large))) == 2


def test_the_oldest_go_when_there_are_too_many() -> None:
    ring = a_ring(*SHARED, max_entries=2)
    assert (ring.first, ring.end, ring.next_offsets) == (1, 3, [13, 21])
    assert ring.covers([11, 20])
    assert not ring.covers([10, 20])
    assert [entry.record for entry in ring.since(ring.first, 9)] == list(SHARED[1:])


def test_the_oldest_go_when_they_are_too_large() -> None:
    ring = a_ring(*SHARED, max_bytes=1)
    assert (ring.first, ring.end) == (2, 3), "the newest stays, however large"


def test_numbers_stay_when_what_was_dropped_is_taken_out() -> None:
    ring = a_ring(*(record(CREATED, 10 + n) for n in range(2_500)), max_entries=10)
    assert (ring.first, ring.end) == (2_490, 2_500)
    assert [entry.record.offset for entry in ring.since(2_495, 2)] == [2_505, 2_506]


def test_an_id_is_read_as_it_was_written() -> None:
    assert read_id(write_id([13, 21]).decode(), 2) == [13, 21]
