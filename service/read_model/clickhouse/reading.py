"""What queries ask of ClickHouse."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Final

from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, from_epoch_ms
from service.ports.filters import CreationFilters, EndFilters, Filters, RejectionFilters
from service.ports.pending import PendingExecution
from service.ports.positions import PartitionPosition
from service.ports.read_model import (
    Counts,
    FailedExecution,
    FailureGroup,
    Failures,
    Grouping,
    GroupOrder,
    ListedExecution,
    Order,
    Place,
    RejectionPlace,
    StoredBody,
    StoredEvent,
    StoredNode,
    StoredPayload,
    StoredRejection,
    Times,
)
from service.ports.retentions import Retentions
from service.read_model.clickhouse.adding import counts_of, of_all_statuses, times_of
from service.read_model.clickhouse.closed_hours import ClosedHours
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.failures import failures_statement
from service.read_model.clickhouse.hours import Closed
from service.read_model.clickhouse.inbox import failed_statement, later_statement
from service.read_model.clickhouse.longest import longest_statement
from service.read_model.clickhouse.pending import pending_statement, waiting_statement
from service.read_model.clickhouse.ranking import ranking_statement
from service.read_model.clickhouse.rejections import (
    rejection_statement,
    rejections_statement,
    rejections_total_statement,
)
from service.read_model.clickhouse.selection import Selection
from service.read_model.clickhouse.statements import (
    BODY_COLUMNS,
    EVENT_COLUMNS,
    PAYLOAD_COLUMNS,
    POSITIONS,
    downstream_statement,
    events_statement,
    last_ended_statement,
    nodes_statement,
    page_statement,
)
from service.read_model.clickhouse.statistics import (
    Counted,
    counts_parts,
    statuses_statement,
    times_parts,
    times_statement,
    total_parts,
)

KEPT_FOR_EVER: Final = Retentions()


class ClickHouseReadModel:
    """`ReadModel` over tables that `create_schema` made. Whoever made the driver closes it.

    What is older than its retention is not shown any more, wherever its rows still are.
    """

    def __init__(
        self, driver: Driver, retentions: Retentions = KEPT_FOR_EVER, clock: Callable[[], float] = time.time
    ) -> None:
        self._driver = driver
        self._retentions = retentions
        self._clock = clock
        self._hours = ClosedHours(driver, clock)

    async def payloads(self, execution_ids: Sequence[str]) -> list[StoredPayload]:
        """See `ReadModel`."""
        rows = await self._driver.query(*events_statement(execution_ids, self._kept_since(), PAYLOAD_COLUMNS))
        return [StoredPayload(**row) for row in rows]

    def payloads_kept_since(self) -> Timestamp | None:
        """See `ReadModel`."""
        kept_since = self._ago(self._retentions.payloads)
        return None if kept_since is None else from_epoch_ms(kept_since)

    async def bodies(self, execution_id: str) -> list[StoredBody]:
        """See `ReadModel`."""
        rows = await self._driver.query(*events_statement([execution_id], self._kept_since(), BODY_COLUMNS))
        return [StoredBody(**row) for row in rows]

    async def events(self, execution_id: str) -> list[StoredEvent]:
        """See `ReadModel`."""
        rows = await self._driver.query(*events_statement([execution_id], self._kept_since(), EVENT_COLUMNS))
        return [StoredEvent(**row) for row in rows]

    async def nodes(self, execution_ids: Sequence[str]) -> list[StoredNode]:
        """See `ReadModel`."""
        rows = await self._driver.query(*nodes_statement(execution_ids, self._kept_since()))
        return [StoredNode(**row) for row in rows]

    async def waiting(self, execution_ids: Sequence[str], limit: int) -> list[str]:
        """See `ReadModel`."""
        return [row["execution_id"] for row in await self._driver.query(*downstream_statement(execution_ids, limit))]

    async def total(
        self, filters: Filters, order: Order = Order.CREATED, *, counting: bool = False
    ) -> tuple[int, Counts | None]:
        """See `ReadModel`."""
        filters = _of_order(filters, order)
        if counting:
            counts = await self._by_status(filters)
            return sum(counts[status] for status in filters.status or Status), counts
        if Selection(filters).of_none:
            return 0, None
        kept_since = self._kept_since()
        rows, sums = await self._hours.read(lambda closed: total_parts(filters, kept_since, closed))
        in_hours = counts_of(sums).get("", {})
        wanted = filters.status or Status
        return sum(row["total"] for row in rows) + sum(in_hours.get(status, 0) for status in wanted), None

    async def page(  # noqa: PLR0913 - a page has these
        self,
        filters: Filters,
        limit: int,
        order: Order = Order.CREATED,
        *,
        offset: int = 0,
        after: Place | None = None,
        total: int | None = None,
    ) -> list[ListedExecution]:
        """See `ReadModel`."""
        filters = _of_order(filters, order)
        if Selection(filters).of_none:
            return []
        kept_since, backwards = self._kept_since(), False
        if order is Order.DURATION:
            statement = longest_statement(filters, limit, offset, after, kept_since)
        else:
            if total is not None and after is None:
                there = min(limit, total - offset)
                if backwards := there > 0 and offset > total // 2:
                    limit, offset = there, total - offset - there
            if after is None and total is None:  # far from the newest, it would look at very many
                last = await self._of_last_ended(filters, limit, offset, kept_since)
                if last is not None:
                    return last
            statement = page_statement(filters, limit, offset, after, kept_since, backwards=backwards)
        listed = [ListedExecution(**row) for row in await self._driver.query(*statement)]
        return listed[::-1] if backwards else listed

    async def _of_last_ended(
        self, filters: Filters, limit: int, offset: int, kept_since: int | None
    ) -> list[ListedExecution] | None:
        """The page by one look at what ended last, which mostly is enough; None: it is not."""
        statement = last_ended_statement(filters, limit, offset, kept_since)
        rows = [] if statement is None else await self._driver.query(*statement)
        if statement is None or any(row["created_ms"] <= row.pop("unseen_ms") for row in rows):
            return None
        return [ListedExecution(**row) for row in rows]

    async def pending(self, task_ids: Sequence[str], limit: int, after: Place | None = None) -> list[PendingExecution]:
        """See `PendingExecutions`. What had to wait has a second event once it can start."""
        rows = await self._driver.query(*pending_statement(task_ids, limit, after))
        new = [row["execution_id"] for row in rows if row.pop("sequence") == 1]
        waiting = {row["execution_id"] for row in await self._driver.query(*waiting_statement(new))} if new else set()
        return [PendingExecution(**row, waits=row["execution_id"] in waiting) for row in rows]

    async def first_tasks(
        self, filters: CreationFilters, order: GroupOrder, limit: int, text: str = ""
    ) -> tuple[int, list[str]]:
        """See `ReadModel`."""
        rows = await self._driver.query(*ranking_statement(filters, order, limit, text, self._kept_since()))
        return int(rows[0]["tasks"]) if rows else 0, [row["task"] for row in rows]

    async def counts(
        self, filters: CreationFilters, by: Grouping | None = None, *, tasks: Sequence[str] | None = None
    ) -> Mapping[str, Counts]:
        """See `ReadModel`."""
        kept_since = self._kept_since()
        read = await self._hours.read(lambda closed: counts_parts(Counted(filters, by, kept_since, closed, tasks)))
        counts = counts_of(chain(*read))
        return counts if by or counts else {"": dict.fromkeys(Status, 0)}

    async def _by_status(self, filters: Filters) -> Counts:
        """Of those that fit but for their status, how many are in each."""
        if Selection(filters).of_creation:
            return (await self.counts(filters))[""]
        found = await self._driver.query(*statuses_statement(filters, self._kept_since()))
        return of_all_statuses((row["status"], row["count"]) for row in found)

    async def times(
        self,
        filters: CreationFilters,
        by: Grouping | None = None,
        *,
        exact: bool = False,
        tasks: Sequence[str] | None = None,
    ) -> Mapping[str, Times]:
        """See `ReadModel`."""
        kept_since = self._kept_since()
        if exact:
            asked = times_statement(Counted(filters, by, kept_since, Closed(), tasks))
            return times_of(await self._driver.query(*asked))
        read = await self._hours.read(lambda closed: times_parts(Counted(filters, by, kept_since, closed, tasks)))
        return times_of(chain(*read))

    async def failures(self, filters: EndFilters, limit: int) -> Failures:
        """See `ReadModel`."""
        rows = await self._driver.query(*failures_statement(filters, limit, self._kept_since()))
        total, groups = (rows[0]["total"], rows[0]["groups"]) if rows else (0, 0)
        largest = [
            FailureGroup(
                fingerprint=row["fingerprint"],
                count=row["count"],
                tasks=row["tasks"],
                task_count=row["task_count"],
                first_ms=row["first_ms"],
                last_ms=row["last_ms"],
                newest=ListedExecution(row["execution_id"], row["created_ms"]),
            )
            for row in rows
        ]
        return Failures(total, groups, largest)

    async def failed(self, filters: EndFilters, limit: int) -> tuple[int, list[FailedExecution]]:
        """See `ReadModel`."""
        rows = await self._driver.query(*failed_statement(filters, limit, self._kept_since()))
        total = int(rows[0]["total"]) if rows else 0
        return total, [FailedExecution(**{name: row[name] for name in FailedExecution._fields}) for row in rows]

    async def later_successes(self, failed: Sequence[FailedExecution]) -> Mapping[str, ListedExecution]:
        """See `ReadModel`."""
        rows = await self._driver.query(*later_statement(failed, self._kept_since()))
        return {row["failure"]: ListedExecution(row["execution_id"], row["created_ms"]) for row in rows}

    async def rejections_total(self) -> int:
        """See `ReadModel`."""
        (row,) = await self._driver.query(*rejections_total_statement(RejectionFilters(), self._rejections_since()))
        return int(row["total"])

    async def rejections(
        self, filters: RejectionFilters, limit: int, after: RejectionPlace | None = None
    ) -> tuple[int, list[StoredRejection]]:
        """See `ReadModel`."""
        kept_since = self._rejections_since()
        (row,) = await self._driver.query(*rejections_total_statement(filters, kept_since))
        found = await self._driver.query(*rejections_statement(filters, limit, after, kept_since))
        return int(row["total"]), [StoredRejection(**each) for each in found]

    async def rejection(self, partition: int, offset: int) -> StoredRejection | None:
        """See `ReadModel`."""
        found = await self._driver.query(*rejection_statement(partition, offset, self._rejections_since()))
        return StoredRejection(**found[0]) if found else None

    async def positions(self) -> list[PartitionPosition]:
        """See `ReadModel` and `ProjectionStore`."""
        return [PartitionPosition(**row) for row in await self._driver.query(POSITIONS)]

    async def ping(self) -> None:
        """See `ReadModel`."""
        await self._driver.query("SELECT 1")

    def _kept_since(self) -> int | None:
        return self._ago(self._retentions.executions)

    def _rejections_since(self) -> int | None:
        return self._ago(self._retentions.rejections)

    def _ago(self, retention: timedelta | None) -> int | None:
        """In epoch milliseconds."""
        return None if retention is None else int((self._clock() - retention.total_seconds()) * 1000)


def _of_order(filters: Filters, order: Order) -> Filters:
    """By duration, only those have a place that ran and have ended."""
    if order is Order.CREATED or filters.min_duration is not None:
        return filters
    return filters.model_copy(update={"min_duration": timedelta()})
