"""Drops finished executions from the store some time after the retention has ended."""

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


async def drop_finished(store: ProjectionStore, retention: timedelta, clock: Callable[[], float] = time.time) -> None:
    """Drop what is due, again and again, until cancelled; what a replay brings back goes again."""
    while True:
        before = clock() - (retention + GRACE).total_seconds()
        count = 0
        try:
            while dropped := await store.drop_finished(int(before * 1000)):
                count += dropped
                metrics.DROPPED.inc(dropped)
        except UnavailableError as error:
            log.warning("dropping_postponed", error=str(error), seconds=PERIOD_SECONDS)
        if count:
            log.info("executions_dropped", count=count, retention=str(retention))
        await asyncio.sleep(PERIOD_SECONDS)
