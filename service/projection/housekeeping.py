"""What must be done in the store now and then: what its retention has ended is dropped, and tidying up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog
from prometheus_client import Counter

from service.contracts.timestamps import from_epoch_ms
from service.ports.errors import UnavailableError
from service.ports.projection_store import DroppingStore, HousekeepingStore
from service.ports.retentions import Retentions
from service.projection import metrics

log = structlog.get_logger(__name__)

GRACE: Final = timedelta(hours=1)
"""From the moment that something is not shown any more: queries that saw it have ended, on any clock."""

PERIOD_SECONDS: Final = 600.0

_DAY_MS: Final = 86_400_000


async def keep_house(store: HousekeepingStore, retentions: Retentions, clock: Callable[[], float] = time.time) -> None:
    """Tidy up and drop what is due, again and again, until cancelled.

    What a replay brings back goes again. What is counted of ended hours is checked once.
    """
    checked = False
    while True:
        try:
            if not checked and (wrong := await store.check_hours()) is not None:
                log.warning("hours_counted_wrong", since=str(from_epoch_ms(wrong)), advice="they are counted again.")
            checked = True
            await _close_hours(store)
            await store.tidy()
            await drop_due(store, retentions, int(clock() * 1000))
        except UnavailableError as error:
            log.warning("housekeeping_postponed", error=str(error), seconds=PERIOD_SECONDS)
        await asyncio.sleep(PERIOD_SECONDS)


async def _close_hours(store: HousekeepingStore) -> None:
    count = 0
    while hours := await store.close_hours():
        count += hours
    if count > 1:  # one each hour goes without saying
        log.info("hours_counted", count=count)


async def drop_due(store: DroppingStore, kept: Retentions, now: int) -> None:
    """Drop what is due at this moment (epoch milliseconds).

    Raises:
        UnavailableError: the store does not answer; try again later.
    """
    since = 0
    if kept.executions is not None:
        since = now - _ms(kept.executions)
        before = since - _ms(GRACE)
        await _drop(lambda: store.drop_finished(before), metrics.DROPPED, "executions_dropped", kept.executions)
    if kept.payloads is not None and (until := _whole_days(now - _ms(kept.payloads + GRACE))) > since:
        # What is hidden altogether is left to `drop_finished`: another projector may be at it.
        drop = lambda: store.drop_payloads(since, until)  # noqa: E731 - named, it would be longer
        await _drop(drop, metrics.DROPPED_PAYLOADS, "payloads_dropped", kept.payloads)
    if kept.rejections is not None:
        day = _whole_days(now - _ms(kept.rejections + GRACE))
        await _drop(
            lambda: store.drop_rejections(day), metrics.DROPPED_REJECTIONS, "rejections_dropped", kept.rejections
        )


async def _drop(drop: Callable[[], Awaitable[int]], metric: Counter, event: str, retention: timedelta) -> None:
    """In turns, until nothing is left."""
    count = 0
    try:
        while dropped := await drop():
            count += dropped
            metric.inc(dropped)
    finally:
        if count:
            log.info(event, count=count, retention=str(retention))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _whole_days(moment: int) -> int:
    """What is hidden can wait: to drop it once a day costs a hundredth of dropping it every ten minutes."""
    return moment - moment % _DAY_MS
