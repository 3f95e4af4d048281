"""The queries on task executions (spec, Queries). All exact; each says how fresh it is."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog

from service.contracts.codec import decode
from service.contracts.problems import Code, FieldError, RejectedError, reject
from service.contracts.replies import Position
from service.contracts.timestamps import Timestamp
from service.queries.answers import (
    RecordedEvent,
    TaskExecutionAnswer,
    TaskExecutionHistory,
    TaskExecutionPage,
    TaskExecutionStats,
)
from service.queries.freshness import Freshness, Progress
from service.queries.payloads import fold, whole
from service.queries.requests import Cursor, GetTaskExecution, GetTaskExecutionStats, ListTaskExecutions, check
from service.queries.selection import count_statement, page_statements, table_for
from service.read_model.clickhouse.driver import ClickHouse, Row
from service.read_model.clickhouse.errors import UnavailableError

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 10.0
"""How long a query waits for its `min_position`."""

_EVENTS_OF_ONE: Final = (
    "SELECT type, status, toUnixTimestamp64Milli(eventTime) AS time, payload, partition, offset "
    "FROM task_execution_events WHERE executionId = {id:UUID} ORDER BY sequence LIMIT 1 BY sequence"
)
_COUNTS: Final = (
    "count() AS total, countIf(status = 'PENDING') AS pending, countIf(status = 'RUNNING') AS running, "
    "countIf(status = 'SUCCESS') AS success, countIf(status = 'FAILURE') AS failure, "
    "countIf(status = 'STOPPED') AS stopped, countIf(status = 'SKIPPED') AS skipped"
)


class TaskExecutionQueries:
    """Answers from ClickHouse alone. The port and its tables (`create_schema`) are the caller's.

    `partitions`: how many the events topic has. `patience`: how many seconds a query waits for its `min_position`.
    Arguments may be what came over the wire: texts, numbers. `min_position`: see `contracts.replies.Position`.

    Raises:
        RejectedError: by every query. INVALID_REQUEST with what is wrong; EXECUTION_NOT_FOUND; PROJECTION_BEHIND,
            `min_position` was not reached in time; UNAVAILABLE, ClickHouse did not answer.
    """

    def __init__(self, clickhouse: ClickHouse, partitions: int, patience: float = PATIENCE_SECONDS) -> None:
        self._clickhouse = clickhouse
        self._progress = Progress(clickhouse, partitions, patience)

    async def get(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionAnswer:
        """The whole record (spec, GetTaskExecution)."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        rows, fresh = await self._events(request)
        return TaskExecutionAnswer(**dict(await asyncio.to_thread(fold, rows)), **asdict(fresh))

    async def history(self, execution_id: str, min_position: Position | str | None = None) -> TaskExecutionHistory:
        """Everything that happened to it, in order."""
        request = check(GetTaskExecution, execution_id=execution_id, min_position=min_position)
        rows, fresh = await self._events(request)
        items = tuple(
            RecordedEvent(
                type=row["type"],
                time=Timestamp.from_epoch_ms(row["time"]),
                status=row["status"],
                position=Position(partition=row["partition"], offset=row["offset"]),
                data=decode(row["payload"].encode()),
            )
            for row in rows
        )
        return TaskExecutionHistory(execution_id=request.execution_id, items=items, **asdict(fresh))

    async def list(  # noqa: PLR0913 - the filters of the specification, by name
        self,
        *,
        task_id: str | None = None,
        status: str | None = None,
        created_by: str | None = None,
        tag: str | None = None,
        page_number: int | str | None = None,
        page_size: int | str | None = None,
        cursor: str | None = None,
        min_position: Position | str | None = None,
    ) -> TaskExecutionPage:
        """Newest first by (createdAt, executionId); filters combine (spec, ListTaskExecutions).

        An item is as it was when it was found to fit the filters, even if it has changed since.
        """
        request = check(
            ListTaskExecutions, task_id=task_id, status=status, created_by=created_by, tag=tag,
            page_number=page_number, page_size=page_size, cursor=cursor, min_position=min_position,
        )  # fmt: skip
        if request.cursor is not None and request.page_number != 1:
            error = FieldError(pointer="#/pageNumber", detail="not allowed beside cursor, which says where to go on")
            raise reject(Code.INVALID_REQUEST, "Give either pageNumber or cursor.", (error,))
        fresh = await self._fresh(request.min_position)
        total, found = await asyncio.gather(self._total(request), self._page(request))
        listed = found[: request.page_size]
        more = Cursor(listed[-1]["created_ms"], str(listed[-1]["executionId"])) if len(found) > len(listed) else None
        return TaskExecutionPage(
            items=tuple(await whole(listed, self._query)),
            total=total,
            page_number=request.page_number if request.cursor is None else None,
            page_size=request.page_size,
            next_cursor=str(more) if more else None,
            **asdict(fresh),
        )

    async def stats(self, task_id: str | None = None, min_position: Position | str | None = None) -> TaskExecutionStats:
        """Counts by status, of one task or of all (spec, GetTaskExecutionStats)."""
        request = check(GetTaskExecutionStats, task_id=task_id, min_position=min_position)
        fresh = await self._fresh(request.min_position)
        task = request.task_id
        where, parameters = ("true", {}) if task is None else ("taskId = {task_id:String}", {"task_id": task})
        sql = f"SELECT {_COUNTS} FROM {table_for(task)} FINAL WHERE {where}"  # noqa: S608 - our own words only
        (counts,) = await self._query(sql, parameters)
        return TaskExecutionStats(task_id=task, **counts, **asdict(fresh))

    async def stats_by_task(self) -> Sequence[TaskExecutionStats]:
        """The counts of every task that was ever executed, by its id."""
        fresh = await self._fresh(None)
        sql = f"SELECT taskId AS task_id, {_COUNTS} FROM task_executions_by_task FINAL GROUP BY taskId ORDER BY taskId"  # noqa: S608 - our own words only
        return [TaskExecutionStats(**row, **asdict(fresh)) for row in await self._query(sql)]

    async def rejections_count(self) -> int:
        """How many commands were ever refused."""
        (row,) = await self._query("SELECT count() AS total FROM task_command_rejections FINAL")
        return int(row["total"])

    async def _events(self, request: GetTaskExecution) -> tuple[Sequence[Row], Freshness]:
        fresh = await self._fresh(request.min_position)
        rows = await self._query(_EVENTS_OF_ONE, {"id": request.execution_id})
        if not rows:
            raise reject(
                Code.EXECUTION_NOT_FOUND,
                f"There is no task execution {request.execution_id} as of {fresh.as_of} ({fresh.lag} events behind). "
                "If it was made just now, ask with the position in the reply to its command as minPosition.",
            )
        return rows, fresh

    async def _total(self, request: ListTaskExecutions) -> int:
        statement = count_statement(request)
        (row,) = await self._query(statement.sql, statement.parameters)
        return int(row["total"])

    async def _page(self, request: ListTaskExecutions) -> Sequence[Row]:
        rows: Sequence[Row] = []
        for statement in page_statements(request):
            rows = await self._query(statement.sql, statement.parameters)
            if len(rows) > request.page_size:
                break
        return rows

    async def _fresh(self, min_position: str | None) -> Freshness:
        try:
            return await self._progress.freshness(min_position)
        except UnavailableError as error:
            raise _unavailable(error) from error

    async def _query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        try:
            return await self._clickhouse.query(sql, parameters)
        except UnavailableError as error:
            raise _unavailable(error) from error


def _unavailable(error: UnavailableError) -> RejectedError:
    log.warning("clickhouse_unavailable", error=str(error))
    return reject(Code.UNAVAILABLE, "The read side does not answer now. Ask again in a few seconds.")
