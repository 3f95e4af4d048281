"""The life of an owned partition, with a stand-in for what it opens: phases, batches, retries. No broker."""

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY

from service.handling.bisection import Verdict
from service.handling.partition import PartitionOwner
from service.handling.phases import Phase
from service.kafka.records import Record
from tests.handling.owned import TP, Consumer, Opened, records
from tests.handling.world import eventually


def open_partitions() -> float:
    return REGISTRY.get_sample_value("taskexec_partitions_open") or 0.0


async def test_it_goes_on_from_the_next_command(owner: PartitionOwner, consumer: Consumer, opened: Opened) -> None:
    assert consumer.told == [(TP, 7), "resume"]
    owner.put(records(7, 8))
    owner.put(records(9))
    await eventually(lambda: not owner.queue, "all are handled")
    assert opened.calls[0] == ([7, 8, 9], [], Verdict.DECIDE)
    assert owner.queue.end == 10


async def test_what_a_transaction_leaves_over_is_in_the_next_one(owner: PartitionOwner, opened: Opened) -> None:
    async def one(_records: Sequence[Record]) -> int:
        return 1

    opened.work = one
    owner.put(records(7, 8, 9))
    await eventually(lambda: not owner.queue, "all are handled")
    assert [offsets for offsets, *_ in opened.calls] == [[7, 8, 9], [8, 9], [9]]


async def test_parked_it_takes_nothing_in_and_unparked_it_goes_on_where_it_was(
    owner: PartitionOwner, consumer: Consumer, opened: Opened
) -> None:
    owner.put(records(7))
    owner.park()
    owner.put(records(7))
    assert (owner.phase, len(owner.queue)) == (Phase.PARKED, 0)
    epoch = owner.epoch
    assert owner.unpark()
    assert (owner.phase, opened.opened, consumer.told[-2:]) == (Phase.OPEN, 1, [(TP, 7), "resume"])
    assert owner.epoch > epoch  # what was fetched before is not taken in any more


async def test_while_a_transaction_is_in_flight_it_cannot_be_gone_on_with(
    owner: PartitionOwner, opened: Opened
) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def in_flight(records: Sequence[Record]) -> int:
        begun.set()
        await end.wait()
        return len(records)

    opened.work = in_flight
    owner.put(records(7))
    await begun.wait()
    owner.park()
    assert not owner.unpark()
    end.set()
    await owner.settled()
    assert owner.unpark()


async def test_a_parked_one_whose_transaction_fails_is_over(owner: PartitionOwner, opened: Opened) -> None:
    async def failing(_records: Sequence[Record]) -> int:
        owner.park()
        raise ValueError

    opened.work = failing
    owner.put(records(7))
    await eventually(lambda: owner.phase is Phase.CLOSED, "it is closed")
    assert not owner.unpark()


async def test_open_partitions_are_counted(owner: PartitionOwner) -> None:
    counted = [open_partitions()]
    for change in (owner.park, owner.unpark, owner.park, owner.unpark):
        change()
        counted.append(open_partitions())
    await owner.close()
    await owner.close()
    counted.append(open_partitions())
    assert [count - counted[0] for count in counted] == [0, -1, 0, -1, 0, -1]


@pytest.mark.parametrize("to", [Phase.OPENING, Phase.OPEN, Phase.PARKED])
async def test_from_the_end_it_goes_nowhere(owner: PartitionOwner, to: Phase) -> None:
    await owner.close()
    with pytest.raises(RuntimeError, match=f"partition 0 cannot be {to} after closed"):
        owner._move(to)
    owner.put(records(7))
    owner.park()
    assert (owner.phase, len(owner.queue)) == (Phase.CLOSED, 0)


async def test_after_an_error_everything_is_thrown_away_and_opened_again(
    owner: PartitionOwner, opened: Opened, consumer: Consumer
) -> None:
    before = REGISTRY.get_sample_value("taskexec_partition_resets_total", {"error": "ValueError"}) or 0.0

    async def failing(_records: Sequence[Record]) -> int:
        opened.work = opened.all_of
        raise ValueError

    opened.work = failing
    owner.put(records(7, 8))
    await eventually(lambda: opened.opened == 2 and owner.is_open, "it is open again")
    assert (opened.discarded, len(owner.queue)) == (1, 0)
    assert consumer.told == [(TP, 7), "resume", "pause", (TP, 7), "resume"]
    assert REGISTRY.get_sample_value("taskexec_partition_resets_total", {"error": "ValueError"}) == before + 1


async def test_what_cannot_be_fetched_opens_it_again(owner: PartitionOwner, opened: Opened) -> None:
    owner.fail(OSError())
    await eventually(lambda: opened.opened == 2 and owner.is_open, "it is open again")
