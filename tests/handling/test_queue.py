"""The records that wait: in order, with their size in bytes, in batches of limited size. No broker."""

import pytest

from service.handling import queue as module
from service.handling.queue import CommandQueue
from service.kafka.records import Record
from tests.handling.stages import a_record


def records(*offsets: int, value: bytes = b"12345") -> list[Record]:
    return [a_record(offset, value) for offset in offsets]


def a_queue(*offsets: int) -> CommandQueue:
    queue = CommandQueue()
    queue.put(records(*offsets))
    return queue


def test_the_size_is_that_of_what_waits() -> None:
    queue = a_queue(0, 1, 2)
    assert (queue.size, len(queue)) == (15, 3)
    batch = queue.take_batch(2)
    assert (queue.size, len(queue)) == (5, 1)
    queue.put_back(batch[1:])
    assert (queue.size, len(queue)) == (10, 2)
    queue.put(records(3, value=b"1"))
    assert queue.size == 11
    queue.clear()
    assert (queue.size, len(queue)) == (0, 0)


def test_records_come_in_order_also_after_some_were_put_back() -> None:
    queue = a_queue(0, 1, 2)
    queue.put_back(queue.take_batch(2))
    queue.put(records(5))
    assert [record.offset for record in queue.take_batch()] == [0, 1, 2, 5]
    assert queue.take_batch() == []


def test_a_batch_has_at_most_so_many_records() -> None:
    queue = a_queue(*range(10))
    assert [len(queue.take_batch(4)) for _ in range(4)] == [4, 4, 2, 0]


@pytest.mark.parametrize(("most_bytes", "taken"), [(10, 2), (11, 3), (1, 1), (5, 1)])
def test_a_batch_ends_with_the_record_that_fills_it_so_none_is_ever_too_large(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int, taken: int
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_BYTES", most_bytes)
    assert len(a_queue(0, 1, 2, 3).take_batch()) == taken


def test_the_end_is_after_the_last_record_taken_in_whatever_became_of_it() -> None:
    queue = a_queue(3, 4, 8)
    assert queue.end == 9
    queue.put_back(queue.take_batch(1))
    queue.take_batch()
    queue.clear()
    assert queue.end == 9


def test_a_restart_drops_everything_and_moves_the_end() -> None:
    queue = a_queue(3, 4, 8)
    queue.restart(4)
    assert (queue.end, queue.size, len(queue)) == (4, 0, 0)
