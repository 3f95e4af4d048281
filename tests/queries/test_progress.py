"""Waiting for `min_position`: cheap for all, and nobody's trouble is another's."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.contracts.problems import Code, FieldError, RejectedError
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.ports.errors import UnavailableError
from service.ports.positions import PartitionPosition
from service.queries import freshness
from service.queries.executions import TaskExecutionQueries
from service.queries.freshness import Freshness, Progress
from service.read_model.clickhouse.store import ClickHouseStore
from tests.queries.conftest import PARTITIONS


class Counted:
    """A real read model that counts its looks at the positions; `outage` is raised instead of the next answers."""

    def __init__(self, store: ClickHouseStore) -> None:
        self._store = store
        self.queries, self.running, self.most = 0, 0, 0
        self.outage: Exception | None = None

    async def positions(self) -> Sequence[PartitionPosition]:
        self.queries += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.outage:
                raise self.outage
            return await self._store.positions()
        finally:
            self.running -= 1

    async def after(self, more: int) -> None:
        """Return when so many more queries were made, and none runs."""
        wanted = self.queries + more
        async with asyncio.timeout(20):
            while self.queries < wanted or self.running:
                await asyncio.sleep(0.01)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def counted(store: ClickHouseStore) -> Counted:
    return Counted(store)


@pytest.fixture
def progress(counted: Counted) -> Progress:
    return Progress(counted, PARTITIONS, patience=30)


async def come_to(store: ClickHouseStore, offset: int) -> None:
    await store.write_positions([PartitionPosition(EVENTS_TOPIC, 1, offset, offset + 1, 5000)])


async def waiters(counted: Counted, progress: Progress, count: int) -> list[asyncio.Task[Freshness]]:
    """So many that wait for the event at 1:7; each of them has looked once."""
    waiting = [asyncio.create_task(progress.freshness("1:7")) for _ in range(count)]
    await counted.after(count)
    return waiting


async def test_all_that_wait_share_one_query_at_a_time(
    store: ClickHouseStore, counted: Counted, progress: Progress
) -> None:
    await come_to(store, 6)
    waiting = await waiters(counted, progress, 50)
    counted.queries = counted.most = 0
    await counted.after(5)
    assert counted.most == 1
    assert not any(task.done() for task in waiting)
    await come_to(store, 7)
    assert await asyncio.gather(*waiting) == [Freshness(Timestamp.from_epoch_ms(5000), 0)] * 50
    assert counted.queries < 50  # as many for all of them as one alone would have made
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "min-position"]  # it ends with the last


async def test_when_clickhouse_fails_all_that_wait_are_told(counted: Counted, progress: Progress) -> None:
    waiting = await waiters(counted, progress, 3)
    counted.outage = UnavailableError("gone")
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [UnavailableError] * 3


async def test_after_a_failure_waiting_works_again(
    store: ClickHouseStore, counted: Counted, progress: Progress
) -> None:
    counted.outage = UnavailableError("gone")
    with pytest.raises(UnavailableError):
        await progress.freshness("1:7")
    counted.outage = None
    waiting = await waiters(counted, progress, 2)
    counted.outage = UnavailableError("gone")
    await asyncio.wait(waiting)
    counted.outage = None
    again = await waiters(counted, progress, 2)
    await come_to(store, 7)
    assert await asyncio.gather(*again) == [Freshness(Timestamp.from_epoch_ms(5000), 0)] * 2
    assert [type(task.exception()) for task in waiting] == [UnavailableError] * 2


@pytest.mark.parametrize("whom", [0, 1, 2])
async def test_one_that_goes_away_harms_nobody(
    store: ClickHouseStore, counted: Counted, progress: Progress, whom: int
) -> None:
    waiting = await waiters(counted, progress, 3)
    waiting.pop(whom).cancel()
    await counted.after(2)
    await come_to(store, 7)
    assert await asyncio.gather(*waiting) == [Freshness(Timestamp.from_epoch_ms(5000), 0)] * 2


@pytest.mark.parametrize(
    ("partitions", "age_seconds", "lag", "is_told"),
    [(PARTITIONS, 1, 0, True), (PARTITIONS, 1, 100, True), (PARTITIONS - 1, 1, 0, False), (0, 1, 0, False),
     (PARTITIONS, 60, 0, False), (PARTITIONS, 1, 1_000, False)],
)  # fmt: skip
async def test_where_the_events_go_on_is_told_if_that_is_near(  # noqa: PLR0913, PLR0917 - the table's columns
    store: ClickHouseStore, counted: Counted, progress: Progress, partitions: int, age_seconds: int, lag: int,
    monkeypatch: pytest.MonkeyPatch, *, is_told: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(freshness, "_RECENT_SECONDS", 60.0)
    now = int(Timestamp.now(UTC).timestamp() * 1000) - age_seconds * 1000
    await store.write_positions(
        [PartitionPosition(EVENTS_TOPIC, number, number - 1, number + lag, now) for number in range(partitions)]
    )
    assert await progress.next_offsets() == ([*range(PARTITIONS)] if is_told else None)
    await progress.freshness(None)
    assert counted.queries == 1  # the answer that is asked for then costs no other


@pytest.mark.parametrize("partition", [PARTITIONS, 99_999])
async def test_a_partition_that_does_not_exist_is_refused_at_once(counted: Counted, partition: int) -> None:
    queries = TaskExecutionQueries(counted, PARTITIONS, patience=3_600)
    with pytest.raises(RejectedError) as caught:
        await queries.stats(min_position=f"{partition}:0")
    assert caught.value.problem.code is Code.INVALID_REQUEST
    assert caught.value.problem.errors == (
        FieldError(
            pointer="#/minPosition",
            detail=f"there is no partition {partition}; they are 0 to 7. Give the position as you got it",
        ),
    )
    assert not counted.queries


async def test_questions_of_one_moment_ask_once(counted: Counted, progress: Progress) -> None:
    first, *others = await asyncio.gather(*(progress.freshness(None) for _ in range(5)), progress.recent())
    assert counted.queries == 1
    assert all(one == first for one in others[:-1])
    counted.outage = UnavailableError("gone")
    await asyncio.sleep(freshness._RECENT_SECONDS + 0.01)
    refused = await asyncio.gather(*(progress.freshness(None) for _ in range(3)), return_exceptions=True)
    assert {type(error) for error in refused} == {UnavailableError}
    assert counted.queries == 2
    counted.outage = None
    assert await progress.freshness(None) == first, "an outage is not remembered"


async def test_a_process_that_stood_still_has_not_waited(
    store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        async def positions(self) -> Sequence[PartitionPosition]:
            asyncio.get_running_loop().call_later(0.05, time.sleep, 1.5)
            await asyncio.sleep(0.1)
            return await store.positions()

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    monkeypatch.setattr(freshness, "_ANSWER_SECONDS", 1.0)
    assert (await TaskExecutionQueries(Interrupted(), PARTITIONS).stats()).total == 0


async def test_a_read_model_that_hangs_is_refused_soon_and_told_of_once(
    store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging:
        hangs = True

        async def positions(self) -> Sequence[PartitionPosition]:
            if self.hangs:
                await asyncio.Event().wait()
            return await store.positions()

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    monkeypatch.setattr(freshness, "_ANSWER_SECONDS", 0.2)
    hanging = Hanging()
    queries = TaskExecutionQueries(hanging, PARTITIONS)
    with capture_logs() as logs:
        for _ in range(3):
            async with asyncio.timeout(60):
                with pytest.raises(RejectedError) as caught:
                    await queries.stats()
            assert caught.value.problem.code is Code.UNAVAILABLE
        hanging.hangs = False
        monkeypatch.setattr(freshness, "_ANSWER_SECONDS", 60.0)
        assert (await queries.stats()).total == 0
    assert [entry["event"] for entry in logs] == ["read_model_unavailable", "read_model_available"]
