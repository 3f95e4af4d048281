"""What is polled together: much where much waits, for that is cheaper; else what there is, at once."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka.records import Record
from service.projection.reading import gather

P0, P1 = (TopicPartition("events", number) for number in range(2))
SMALL, LARGE = 1_000, 600_000
"""Bytes of a record; two large ones say that more waits."""


class Polls:
    """A consumer that gives these; then nothing. `asked` has the time-out and the bound of each poll."""

    def __init__(self, *polls: Mapping[TopicPartition, Sequence[Record]]) -> None:
        self.left = [*polls]
        self.asked: list[tuple[int, int]] = []

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        self.asked.append((timeout_ms, max_records))
        return self.left.pop(0) if self.left else {}


def some(partition: TopicPartition, *offsets: int, size: int = LARGE) -> list[Record]:
    return [Record(*partition, offset, timestamp=0, key=None, value=b"", headers=(), size=size) for offset in offsets]


async def gathered(polls: Polls, most_rows: int = 100) -> tuple[dict[TopicPartition, list[int]], bool]:
    consumer: Any = polls
    records, all_there = await gather(cast("AIOKafkaConsumer", consumer), 1_000, most_rows)
    return {tp: [record.offset for record in found] for tp, found in records.items()}, all_there


async def test_what_is_little_is_not_kept_waiting() -> None:
    polls = Polls({P0: some(P0, 1, 2, size=SMALL)}, {P0: some(P0, 3)})
    assert await gathered(polls) == ({P0: [1, 2]}, True)
    assert polls.asked == [(1_000, 100)]
    assert await gathered(Polls()) == ({}, True)


async def test_in_a_backlog_several_polls_are_one_in_the_order_of_each_partition() -> None:
    polls = Polls({P0: some(P0, 1, 2)}, {P1: some(P1, 7), P0: some(P0, 3)}, {P0: some(P0, 4)})
    assert await gathered(polls) == ({P0: [1, 2, 3, 4], P1: [7]}, True)
    assert polls.asked == [(1_000, 100), (100, 98), (100, 96)], "what is there waits for more no longer than a fetch"


async def test_no_more_rows_than_wanted() -> None:
    assert await gathered(Polls({P0: some(P0, 1, 2)}, {P0: some(P0, 3, 4)}, {P0: some(P0, 5)}), 4) == (
        {P0: [1, 2, 3, 4]},
        False,
    )


async def test_no_more_bytes_than_memory_has() -> None:
    million = 1 << 20
    polls = Polls(*({P0: some(P0, number, size=10 * million)} for number in range(9)))
    assert await gathered(polls) == ({P0: [0, 1, 2, 3]}, False)


@pytest.mark.parametrize("later", [{}, {P0: some(P0, 3, size=SMALL)}])
async def test_a_backlog_that_ends_is_all_there(later: dict[TopicPartition, list[Record]]) -> None:
    assert (await gathered(Polls({P0: some(P0, 1, 2)}, later)))[1]
