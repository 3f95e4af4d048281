"""What the projector writes into ClickHouse, and what housekeeping does there."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from service.ports.positions import PartitionPosition
from service.ports.projection_store import EventRow, RejectionRow
from service.ports.retentions import Retentions
from service.read_model.clickhouse.driver import Driver, columns_of
from service.read_model.clickhouse.dropping import AT_ONCE, drop_statements, oldest_statement
from service.read_model.clickhouse.dropping_payloads import UNDROPPED, drop_payloads_statements
from service.read_model.clickhouse.hour_keeper import HourKeeper
from service.read_model.clickhouse.reading import KEPT_FOR_EVER, ClickHouseReadModel
from service.read_model.clickhouse.rejections import drop_rejections_statement, old_rejections_statement
from service.read_model.clickhouse.statements import TOPIC_IDS

INSERTED_COLUMNS: Final = columns_of(EventRow)
REJECTION_COLUMNS: Final = columns_of(RejectionRow)
POSITION_COLUMNS: Final = columns_of(PartitionPosition)


class ClickHouseStore(ClickHouseReadModel):
    """`ProjectionStore` and `HousekeepingStore`, and `ReadModel`, over the same tables."""

    def __init__(
        self, driver: Driver, retentions: Retentions = KEPT_FOR_EVER, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(driver, retentions, clock)
        self._keeper = HourKeeper(driver, clock)

    async def topic_ids(self) -> dict[str, UUID]:
        """See `ProjectionStore`."""
        return {row["topic"]: UUID(row["id"]) for row in await self._driver.query(TOPIC_IDS)}

    async def write_topic_ids(self, ids: Mapping[str, UUID]) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("projector_topics", ["topic", "id"], list(ids.items()))

    async def insert_events(self, rows: Sequence[EventRow], token: str) -> None:
        """See `ProjectionStore`."""
        moved = [row for row in rows if row.previous_status != row.status]  # of the others, no hour counts anything
        if moved:
            await self._keeper.open_for(min(row.completed_at or row.started_at or row.created_at for row in moved))
        await self._driver.insert("task_execution_events_in", INSERTED_COLUMNS, rows, token)

    async def insert_rejections(self, rows: Sequence[RejectionRow], token: str) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("task_command_rejections", REJECTION_COLUMNS, rows, token)

    async def write_positions(self, positions: Sequence[PartitionPosition]) -> None:
        """See `ProjectionStore`."""
        await self._driver.insert("projector_position", POSITION_COLUMNS, positions)

    async def drop_finished(self, before: int) -> int:
        """See `ProjectionStore`."""
        (oldest,) = await self._driver.query(*oldest_statement(before, AT_ONCE))
        if oldest["count"]:
            await self._keeper.forget(oldest["last"])
            for statement in drop_statements(oldest["last"]):
                await self._driver.maintain(statement)
        return int(oldest["count"])

    async def drop_payloads(self, since: int, before: int) -> int:
        """See `ProjectionStore`."""
        (oldest,) = await self._driver.query(*oldest_statement(before, AT_ONCE, since, UNDROPPED))
        if oldest["count"]:
            for statement in drop_payloads_statements(since, oldest["last"]):
                await self._driver.maintain(statement)
        return int(oldest["count"])

    async def drop_rejections(self, before: int) -> int:
        """See `ProjectionStore`."""
        (old,) = await self._driver.query(*old_rejections_statement(before))
        if old["total"]:
            await self._driver.maintain(drop_rejections_statement(before))
        return int(old["total"])

    async def tidy(self) -> None:
        """See `ProjectionStore`."""
        await self._driver.maintain("OPTIMIZE TABLE task_executions_open FINAL CLEANUP")

    async def close_hours(self) -> int:
        """See `ProjectionStore`."""
        return await self._keeper.close_next()

    async def check_hours(self) -> int | None:
        """See `ProjectionStore`."""
        return await self._keeper.check()
