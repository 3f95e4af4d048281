"""Timers of an owned partition: when they ring, and with which commands. No broker."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import pytest

from service.contracts.timestamps import Timestamp, epoch_ms, from_epoch_ms
from service.handling import partition as module
from service.handling.bisection import STRIKES, Verdict
from service.handling.partition import PartitionOwner
from service.kafka.records import Record
from tests.handling.owned import Consumer, Opened, records
from tests.handling.stages import AT, WINDOW, finished, timer_of
from tests.handling.world import eventually

OLD = finished("old", AT - 2 * WINDOW)


async def test_timers_of_an_idle_partition_ring(owner: PartitionOwner, opened: Opened) -> None:
    opened.states.remember({}, [], [timer_of(OLD)], 0)
    owner._wake.set()  # as when its wait is over
    await eventually(lambda: opened.calls, "the timer rings")
    assert opened.calls == [([], [timer_of(OLD)], Verdict.DECIDE)]


async def test_timers_of_an_idle_partition_ring_again_after_a_failure(owner: PartitionOwner, opened: Opened) -> None:
    """No record is searched for then: nothing else would ever let them ring."""
    opened.restored, timer = (OLD,), timer_of(OLD)
    opened.states.remember({}, [], [timer], 0)

    async def failing(_records: Sequence[Record]) -> int:
        opened.work = opened.all_of
        raise ValueError

    opened.work = failing
    owner._wake.set()
    await eventually(lambda: len(opened.calls) == 2, "the timer rings again")
    assert opened.calls == [([], [timer], Verdict.DECIDE)] * 2


@pytest.mark.parametrize(
    ("polled", "heard"),
    [
        ((AT - timedelta(seconds=0.9), 7), AT),
        ((AT - timedelta(seconds=0.9), 8), from_epoch_ms(0)),
        ((AT - timedelta(seconds=3), 7), AT - timedelta(seconds=3)),
        ((None, 7), from_epoch_ms(0)),
    ],
)
async def test_what_kafka_was_not_asked_for_is_not_heard(
    owner: PartitionOwner, opened: Opened, consumer: Consumer, polled: tuple[Timestamp | None, int], heard: Timestamp
) -> None:
    """While a broker stands still, the group moves partitions about, or there is more to fetch, no worker is silent."""
    at, consumer.end = polled
    consumer.polled = None if at is None else epoch_ms(at)
    opened.states.remember({}, [], [timer_of(OLD)], 0)
    owner._wake.set()
    await eventually(lambda: opened.calls, "the timer rings")
    assert opened.heard == [heard]


async def test_timers_go_with_the_next_commands(owner: PartitionOwner, opened: Opened) -> None:
    opened.states.remember({}, [], [timer_of(OLD)], 0)
    owner.put(records(7))
    await eventually(lambda: opened.calls, "they are handled")
    assert opened.calls == [([7], [timer_of(OLD)], Verdict.DECIDE)]


async def test_a_parked_partition_s_timers_wait(owner: PartitionOwner, opened: Opened) -> None:
    opened.states.remember({}, [], [timer_of(OLD)], 0)
    owner.park()
    assert owner._due() == []
    owner.unpark()
    assert owner._due() == [timer_of(OLD)]


async def test_while_a_record_is_searched_for_no_timers_are_with_it(
    owner: PartitionOwner, opened: Opened, consumer: Consumer
) -> None:
    """Nothing else may be why a batch fails; when it is found, they ring."""
    opened.restored, timer = (OLD,), timer_of(OLD)
    opened.states.remember({}, [], [timer], 0)

    async def failing(batch: Sequence[Record]) -> int:
        if any(record.offset == 8 for record in batch) and opened.calls[-1][2] is Verdict.DECIDE:
            raise ValueError
        return len(batch)

    opened.work = failing
    consumer.resumed = lambda: owner.put(records(*range(opened.next_offset, 11)))
    consumer.resumed()
    await eventually(lambda: opened.next_offset == 11, "all are handled")
    assert opened.calls == [
        ([7, 8, 9, 10], [timer], Verdict.DECIDE),
        ([7, 8], [], Verdict.DECIDE),
        ([7], [], Verdict.DECIDE),
        *[([8], [], Verdict.DECIDE)] * STRIKES,
        ([8], [], Verdict.SET_ASIDE),
        ([9, 10], [timer], Verdict.DECIDE),
    ]


@pytest.mark.parametrize(
    ("left", "waits"),
    [(timedelta(hours=1), 3600), (timedelta(milliseconds=1), 1), (timedelta(0), 1), (timedelta(-1), 1), (None, None)],
)
async def test_an_idle_partition_wakes_for_its_next_timer_but_not_all_the_time(
    owner: PartitionOwner, opened: Opened, monkeypatch: pytest.MonkeyPatch, left: timedelta | None, waits: float | None
) -> None:
    await owner.close()
    seconds: list[float | None] = []

    def timeout(delay: float | None) -> asyncio.Timeout:
        seconds.append(delay)
        return asyncio.timeout(0)

    if left is not None:
        opened.states.remember({}, [], [timer_of(finished("a", AT - WINDOW + left))], 0)
    with monkeypatch.context() as patched:
        patched.setattr(module, "asyncio", SimpleNamespace(timeout=timeout))
        await owner._wait()
    assert seconds == [waits]
