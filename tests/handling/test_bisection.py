"""One record for which every batch fails is found and set aside; outages are held against nobody."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from service.handling.bisection import STRIKES, Bisection, Verdict
from service.handling.queue import MAX_BATCH_RECORDS
from service.kafka.internals.single_send import UnknownOutcomeError
from tests.handling.owned import records


@dataclass
class Record:
    offset: int


@dataclass
class Handled:
    """What became of the records: each offset's verdicts, as far as they were committed, and how often all failed."""

    verdicts: dict[int, Verdict]
    failures: int


def work(records: list[Record], fails: Callable[[Record, Verdict], bool], error: Exception) -> Handled:
    """As a partition works: batches of at most `limit`, opened again after each failure."""
    bisection, handled, next_offset = Bisection(), Handled({}, 0), 0
    while next_offset < len(records):
        batch = records[next_offset : next_offset + bisection.limit]
        verdict = bisection.verdict(batch[0])
        assert verdict is Verdict.DECIDE or len(batch) == 1
        if any(fails(record, verdict) for record in batch):
            bisection.failed(batch, error)
            handled.failures += 1
            assert handled.failures < 1_000, "it never ends"
            continue
        handled.verdicts |= {record.offset: verdict for record in batch}
        next_offset += len(batch)
        bisection.committed(next_offset)
    assert bisection.limit == MAX_BATCH_RECORDS
    return handled


@given(st.integers(1, 4_000), st.data())
def test_only_those_that_fail_are_set_aside(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=3))
    handled = work(
        [Record(n) for n in range(count)], lambda r, v: r.offset in bad and v is Verdict.DECIDE, ValueError()
    )
    assert len(handled.verdicts) == count
    assert {offset for offset, verdict in handled.verdicts.items() if verdict is not Verdict.DECIDE} == bad
    assert handled.failures <= len(bad) * (count.bit_length() + STRIKES)


def test_what_fails_even_then_is_set_aside_in_the_barest_form() -> None:
    handled = work(
        [Record(n) for n in range(100)], lambda r, v: r.offset == 7 and v < Verdict.SET_ASIDE_BARE, ValueError()
    )
    assert handled.verdicts[7] is Verdict.SET_ASIDE_BARE


def test_a_record_that_kafka_refuses_is_set_aside() -> None:
    error = MessageSizeTooLargeError()
    handled = work([Record(0), Record(1)], lambda r, v: r.offset == 1 and v is Verdict.DECIDE, error)
    assert handled.verdicts == {0: Verdict.DECIDE, 1: Verdict.SET_ASIDE}


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError(), OSError(), UnknownOutcomeError()])
def test_an_outage_is_held_against_nobody(error: Exception) -> None:
    bisection, batch = Bisection(), [Record(5)]
    for _ in range(100):
        bisection.failed(batch, error)
        assert bisection.verdict(batch[0]) is Verdict.DECIDE
    bisection.committed(6)
    assert bisection.limit == MAX_BATCH_RECORDS


def test_an_outage_between_strikes_does_not_count_and_does_not_acquit() -> None:
    bisection, batch = Bisection(), [Record(5)]
    for _ in range(STRIKES):
        bisection.failed(batch, TimeoutError())
        bisection.failed(batch, ValueError())
    assert bisection.verdict(batch[0]) is Verdict.SET_ASIDE


def test_strikes_are_each_record_s_own() -> None:
    bisection = Bisection()
    for offset in range(STRIKES):
        batch = records(offset)
        bisection.failed(batch, ValueError())
        assert bisection.verdict(batch[0]) is Verdict.DECIDE


def test_a_batch_of_timers_alone_is_held_against_nobody_and_makes_the_next_one_small() -> None:
    bisection = Bisection()
    assert not bisection.is_on
    for _ in range(STRIKES):
        bisection.failed([], ValueError())
    assert (bisection.is_on, bisection.limit) == (True, 1)
    assert bisection.verdict(Record(0)) is Verdict.DECIDE
    bisection.committed(1)
    assert not bisection.is_on


def test_it_searches_until_all_that_failed_together_is_done() -> None:
    bisection = Bisection()
    bisection.failed(records(0, 1, 2, 3), ValueError())
    assert (bisection.limit, bisection.searching) == (2, True)
    bisection.committed(3)
    assert bisection.is_on
    bisection.committed(4)
    assert not bisection.is_on


def test_an_outage_is_waited_out_not_searched() -> None:
    bisection = Bisection()
    bisection.failed(records(0, 1, 2, 3), TimeoutError())
    assert (bisection.limit, bisection.searching) == (2, False)
    bisection.committed(1)
    assert not bisection.is_on
