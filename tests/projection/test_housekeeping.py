"""When finished executions are dropped; how, tests/read_model/clickhouse/test_retention.py has."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.handling.handler import FORGET_AFTER_DROP
from service.ports.errors import UnavailableError
from service.projection import housekeeping
from service.projection.housekeeping import GRACE, PERIOD_SECONDS, keep_house

RETENTION = timedelta(days=30)
NOW = 1_800_000_000.0


class Store:
    """Drops what it is told, one number a call; an error is raised."""

    def __init__(self, *answers: int | UnavailableError) -> None:
        self.answers = [*answers]
        self.asked: list[int] = []
        self.tidied = 0
        self.ended = asyncio.Event()

    async def tidy(self) -> None:
        self.tidied += 1

    async def drop_finished(self, before: int) -> int:
        self.asked.append(before)
        if not self.answers:
            self.ended.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer


async def run(store: Store) -> list[tuple[str, object]]:
    """Until it has no more answers; returns what was logged."""
    with capture_logs() as logs:
        task = asyncio.create_task(keep_house(store, RETENTION, lambda: NOW))  # type: ignore[arg-type] # all it needs
        async with asyncio.timeout(30):
            await store.ended.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return [(entry["event"], entry.get("count")) for entry in logs]


def dropped() -> float:
    return REGISTRY.get_sample_value("taskexec_projector_dropped_executions_total") or 0.0


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


def test_the_write_side_forgets_later() -> None:
    assert GRACE + 2 * timedelta(seconds=PERIOD_SECONDS) < FORGET_AFTER_DROP
