"""Both sides of the read model in ClickHouse: what the projector writes, what queries ask."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from service.contracts.status import Status
from service.ports.filters import Filters
from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow, RejectionRow
from service.ports.read_model import Counts, ListedExecution, Place, StoredEvent
from service.read_model.clickhouse.driver import Driver, Row, columns_of
from service.read_model.clickhouse.dropping import AT_ONCE, drop_statements, oldest_statement
from service.read_model.clickhouse.statements import (
    POSITIONS,
    REJECTIONS,
    TOPIC_IDS,
    Statement,
    counts_by_task_statement,
    counts_statement,
    events_statement,
    page_statements,
    total_statement,
)

EVENT_COLUMNS: Final = columns_of(EventRow)
REJECTION_COLUMNS: Final = columns_of(RejectionRow)
POSITION_COLUMNS: Final = columns_of(PartitionPosition)


class ClickHouseStore:
    """`ReadModel` and `ProjectionStore` over tables that `create_schema` made. Whoever made the driver closes it.

    An execution that ended longer than `retention` ago is not shown any more, wherever its rows still are.
    """

    def __init__(
        self, driver: Driver, retention: timedelta | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._driver = driver
        self._retention = retention
        self._clock = clock

    async def events(self, execution_ids: Sequence[str]) -> list[StoredEvent]:
        """See `ReadModel`."""
        rows = await self._rows(events_statement(execution_ids, self._kept_since()))
        return [StoredEvent(**row) for row in rows]

    async def page(
        self, filters: Filters, limit: int, *, offset: int = 0, after: Place | None = None
    ) -> list[ListedExecution]:
        """See `ReadModel`."""
        rows: list[Row] = []
        for statement in page_statements(filters, limit, offset, after, self._kept_since()):
            rows = await self._rows(statement)
            if len(rows) == limit:
                break
        return [ListedExecution(**row) for row in rows]

    async def total(self, filters: Filters) -> int:
        """See `ReadModel`."""
        (row,) = await self._rows(total_statement(filters, self._kept_since()))
        return int(row["total"])

    async def counts(self, task_id: str | None) -> Counts:
        """See `ReadModel`."""
        (row,) = await self._rows(counts_statement(task_id, self._kept_since()))
        return _counts(row)

    async def counts_by_task(self) -> Mapping[str, Counts]:
        """See `ReadModel`."""
        rows = await self._rows(counts_by_task_statement(self._kept_since()))
        return {row["task_id"]: _counts(row) for row in rows}

    async def rejections_total(self) -> int:
        """See `ReadModel`."""
        (row,) = await self._driver.query(REJECTIONS)
        return int(row["total"])

    async def positions(self) -> list[PartitionPosition]:
        """See `ReadModel` and `ProjectionStore`."""
        return [PartitionPosition(**row) for row in await self._driver.query(POSITIONS)]

    async def ping(self) -> None:
        """See `ReadModel`."""
        await self._driver.query("SELECT 1")

    async def topic_ids(self) -> dict[str, UUID]:
        """See `ProjectionStore`."""
        return {row["topic"]: UUID(row["id"]) for row in await self._driver.query(TOPIC_IDS)}

    async def write_topic_ids(self, ids: Mapping[str, UUID]) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("projector_topics", ["topic", "id"], list(ids.items()))

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("task_execution_events", EVENT_COLUMNS, rows, token)

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("task_command_rejections", REJECTION_COLUMNS, rows, token)

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("projector_position", POSITION_COLUMNS, positions)

    async def drop_finished(self, before: int) -> int:
        """See `ProjectionStore`."""
        (oldest,) = await self._rows(oldest_statement(before, AT_ONCE))
        if oldest["count"]:
            for statement in drop_statements(oldest["last"]):
                await self._driver.delete(statement)
        return int(oldest["count"])

    def _kept_since(self) -> int | None:
        """In epoch milliseconds."""
        return None if self._retention is None else int((self._clock() - self._retention.total_seconds()) * 1000)

    async def _rows(self, statement: Statement) -> list[Row]:
        return await self._driver.query(statement.sql, statement.parameters)


def _counts(row: Mapping[str, Any]) -> dict[Status, int]:
    return {status: row[status] for status in Status}
