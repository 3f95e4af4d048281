"""What must be done in the store now and then: finished executions dropped after their retention, and tidying up."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from service.ports.errors import UnavailableError
from service.ports.projection_store import ProjectionStore
from service.projection import metrics

log = structlog.get_logger(__name__)

GRACE: Final = timedelta(hours=1)
"""From the moment that an execution is not shown any more: queries that saw it have ended, on any clock."""

PERIOD_SECONDS: Final = 600.0


async def keep_house(
    store: ProjectionStore, retention: timedelta | None, clock: Callable[[], float] = time.time
) -> None:
    """Tidy up and, if there is a retention, drop what is due, again and again, until cancelled.

    What a replay brings back goes again.
    """
    while True:
        try:
            await store.tidy()
            if retention is not None:
                await _drop_finished(store, retention, clock)
        except UnavailableError as error:
            log.warning("housekeeping_postponed", error=str(error), seconds=PERIOD_SECONDS)
        await asyncio.sleep(PERIOD_SECONDS)


async def _drop_finished(store: ProjectionStore, retention: timedelta, clock: Callable[[], float]) -> None:
    before = clock() - (retention + GRACE).total_seconds()
    count = 0
    try:
        while dropped := await store.drop_finished(int(before * 1000)):
            count += dropped
            metrics.DROPPED.inc(dropped)
    finally:
        if count:
            log.info("executions_dropped", count=count, retention=str(retention))
