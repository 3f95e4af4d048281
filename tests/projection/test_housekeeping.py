"""When what its retention has ended is dropped; how, tests/read_model/clickhouse/ has."""

import asyncio
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.handling.handler import FORGET_AFTER_DROP
from service.ports.errors import UnavailableError
from service.ports.retentions import Retentions
from service.projection import housekeeping
from service.projection.housekeeping import GRACE, PERIOD_SECONDS, keep_house

RETENTION = timedelta(days=30)
NOW = 1_800_000_000.0
"""At 8 in the morning."""
MIDNIGHT_MS = 1_799_971_200_000
DAY_MS = 86_400_000


class Store:
    """Drops what it is told, one number a call; an error is raised."""

    def __init__(self, *answers: int | UnavailableError) -> None:
        self.answers = [*answers]
        self.asked: list[int] = []
        self.others: list[tuple[str, int, int]] = []
        self.tidied = 0
        self.closing: list[int] = []
        self.miscounted: int | None = None
        self.ended = asyncio.Event()

    async def tidy(self) -> None:
        self.tidied += 1

    async def check_hours(self) -> int | None:
        return self.miscounted

    async def close_hours(self) -> int:
        return self.closing.pop() if self.closing else 0

    async def drop_payloads(self, since: int, before: int) -> int:
        return self.once("payloads", since, before)

    async def drop_rejections(self, before: int) -> int:
        return self.once("rejections", 0, before)

    def once(self, *what: Any) -> int:
        """Three, and then none are left."""
        self.others.append(what)
        return 0 if self.others.count(what) > 1 else 3

    async def drop_finished(self, before: int) -> int:
        self.asked.append(before)
        if not self.answers:
            self.ended.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer


async def run(store: Store, retentions: Retentions = Retentions(RETENTION)) -> list[tuple[str, object]]:  # noqa: B008 - frozen
    """Until it has no more answers; returns what was logged."""
    with capture_logs() as logs:
        task = asyncio.create_task(keep_house(store, retentions, lambda: NOW))
        async with asyncio.timeout(30):
            await store.ended.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return [(entry["event"], entry.get("count")) for entry in logs]


def dropped(what: str = "executions") -> float:
    return REGISTRY.get_sample_value(f"taskexec_projector_dropped_{what}_total") or 0.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PERIOD_SECONDS", 0.0)


async def test_all_that_is_due_goes_in_turns_and_is_counted_and_said_in_one_line() -> None:
    store, before = Store(5, 2, 0), dropped()
    assert await run(store) == [("executions_dropped", 7)]
    assert dropped() == before + 7
    assert {*store.asked} == {int((NOW - (RETENTION + GRACE).total_seconds()) * 1000)}


async def test_nothing_due_is_not_worth_a_line() -> None:
    assert await run(Store(0, 0)) == []


async def test_while_the_store_is_down_it_says_so_and_goes_on_later() -> None:
    before = dropped()
    assert await run(Store(5, UnavailableError("down"), 3, 0)) == [
        ("executions_dropped", 5),
        ("housekeeping_postponed", None),
        ("executions_dropped", 3),
    ]
    assert dropped() == before + 8


async def test_payloads_and_rejections_go_by_whole_days_and_are_counted() -> None:
    """Once a day, but at once where a replay brings back what was due before."""
    store, before = Store(0), {what: dropped(what) for what in ("payloads", "rejections")}
    retentions = Retentions(RETENTION, payloads=timedelta(days=7), rejections=timedelta(days=3))
    assert await run(store, retentions) == [("payloads_dropped", 3), ("rejections_dropped", 3)]
    hidden = int(NOW * 1000) - 30 * DAY_MS
    assert {*store.others} == {
        ("payloads", hidden, MIDNIGHT_MS - 7 * DAY_MS),
        ("rejections", 0, MIDNIGHT_MS - 3 * DAY_MS),
    }
    assert {what: dropped(what) for what in before} == {what: count + 3 for what, count in before.items()}


async def test_payloads_that_go_with_their_execution_are_left_to_it() -> None:
    store = Store(0)
    await run(store, Retentions(RETENTION, payloads=RETENTION))
    assert store.others == []


async def test_an_hour_passes_between_hidden_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """At half past midnight, the day that has just become due is not dropped."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", MIDNIGHT_MS / 1000 + 1800)
    store = Store(0)
    await run(store, Retentions(RETENTION, rejections=timedelta(days=3)))
    assert {*store.others} == {("rejections", 0, MIDNIGHT_MS - 4 * DAY_MS)}


def test_the_write_side_forgets_later() -> None:
    assert GRACE + 2 * timedelta(seconds=PERIOD_SECONDS) < FORGET_AFTER_DROP


async def test_ended_hours_are_counted_and_wrong_counts_are_told_of() -> None:
    store = Store(0)
    store.closing, store.miscounted = [3, 24, 24], 1_799_971_200_000
    assert await run(store) == [("hours_counted_wrong", None), ("hours_counted", 51)]
    assert not store.closing
