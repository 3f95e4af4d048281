"""Ports that answer what a test tells them to. They stand for the rest of the service, not for Kafka or ClickHouse."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from service.contracts.commands import Command, ExecuteTask
from service.contracts.definitions import definition_key
from service.contracts.envelope import Headers
from service.contracts.executions import TaskExecution
from service.contracts.problems import Code, FieldError, problem
from service.contracts.rejections import OriginalHeader, OriginalRecord
from service.contracts.replies import CommandReply, Outcome, Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.definitions.answering import answer_of, page_of
from service.definitions.rehearsing import rehearsed
from service.definitions.versions import Versions
from service.kafka.records import Record
from service.ports.claims import (
    AwaitTaskExecutions,
    Claimed,
    ClaimTaskExecution,
    EndedTaskExecution,
    EndedTaskExecutions,
)
from service.ports.definitions import ListTaskDefinitions, TaskDefinitionAnswer, TaskDefinitionPage
from service.ports.live import FollowTaskExecutions
from service.ports.positions import PartitionPosition
from service.queries.answers import (
    RecordedEvent,
    TaskCommandRejection,
    TaskCommandRejectionPage,
    TaskExecutionAnswer,
    TaskExecutionFailureInbox,
    TaskExecutionFailures,
    TaskExecutionGraph,
    TaskExecutionHistory,
    TaskExecutionPage,
    TaskExecutionStats,
)
from service.queries.projection import ProjectionStatus, projection_status
from service.queries.requests import (
    GetTaskExecutionFailureInbox,
    GetTaskExecutionFailures,
    ListTaskCommandRejections,
    ListTaskExecutions,
)
from service.queries.statistics import FailingTasks

ID = "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"
METADATA = {"createdAt": "2026-03-02T04:00:00.125Z", "createdBy": "anna", "tags": ["nightly"]}
PENDING: dict[str, Any] = {
    "id": ID,
    "taskId": "sales:daily_report",
    "taskVersion": "1.2.0",
    "status": "PENDING",
    "resolvedInputs": {"day": "2026-03-01", "region": None, "nested": {"empty": None}},
    "metadata": METADATA,
}
FAILURE = PENDING | {
    "status": "FAILURE",
    "errorMessage": "disk full \x1b[31mon node 7",
    "startedAt": "2026-03-02T04:00:01.000Z",
    "completedAt": "2026-03-02T04:00:03.500Z",
}
COUNTS = {"pending": 1, "running": 2, "success": 3, "failure": 4, "stopped": 5, "skipped": 6}
FRESH: dict[str, Any] = {"asOf": "2026-03-02T04:01:00.000Z", "lag": 2}


GROUP: dict[str, Any] = {
    "fingerprint": "disk full \x1b[<n>mon node <n>", "count": 7, "tasks": ["sales:daily_report", "a:b"], "taskCount": 4,
    "firstSeen": "2026-03-01T04:00:03.500Z", "lastSeen": "2026-03-02T04:00:03.500Z", "executionId": ID,
    "errorMessage": FAILURE["errorMessage"],
}  # fmt: skip

INBOX: dict[str, Any] = {
    "executionId": ID, "taskId": "sales:daily_report", "taskVersion": "1.2.0", "fingerprint": "disk full",
    "createdAt": "2026-03-02T04:00:00.125Z", "completedAt": "2026-03-02T04:00:03.500Z", "errorMessage": "disk full",
}  # fmt: skip
CURED = {"executionId": "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e77", "how": "later_success"}

UPSTREAM, DOWNSTREAM, LAST = (f"0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e{number:02}" for number in (1, 2, 3))
GRAPH: dict[str, Any] = {
    "nodes": [
        {"id": ID, "node": "clean", "taskId": "sales:daily_report", "status": "FAILURE"},
        {"id": UPSTREAM, "node": "collect\x1b[31m", "taskId": "a:b", "status": "SUCCESS"},
        {"id": DOWNSTREAM, "node": "score", "taskId": "a:b", "status": "SKIPPED"},
        {"id": LAST, "taskId": "a:b", "status": "SKIPPED"},
    ],
    "edges": [
        {"upstream": UPSTREAM, "downstream": ID},
        {"upstream": ID, "downstream": DOWNSTREAM, "condition": "passed"},
        {"upstream": ID, "downstream": LAST},
        {"upstream": DOWNSTREAM, "downstream": LAST},
    ],
    "truncated": False,
}  # fmt: skip


def accepted(execution: dict[str, Any] = PENDING, outcome: Outcome = Outcome.ACCEPTED) -> CommandReply:
    position = Position(partition=3, offset=1207)
    return CommandReply(outcome=outcome, task_execution=TaskExecution.model_validate(execution), position=position)


@dataclass
class Submitted:
    command: Command
    id: str
    source: str
    trace: tuple[tuple[str, bytes], ...]


@dataclass
class ScriptedCommands:
    """Gives the same answer to every command, or raises it, and keeps what was submitted."""

    answer: CommandReply | Exception = field(default_factory=accepted)
    submitted: list[Submitted] = field(default_factory=list)
    records: list[tuple[bytes | None, bytes | None, Headers]] = field(default_factory=list)

    async def submit(
        self, command: Command, *, id_: str, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> CommandReply:
        self.submitted.append(Submitted(command, id_, source, tuple(trace)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def submit_raw(self, value: bytes | None, *, headers: Headers, key: bytes | None = None) -> CommandReply:
        self.records.append((key, value, list(headers)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


RUNNING = PENDING | {"status": "RUNNING", "startedAt": "2026-03-02T04:00:01.000Z", "owner": "worker-7"}


@dataclass
class ScriptedClaims:
    """Gives the same answer to every claim, or raises it, after `seconds`, and keeps what was wanted."""

    answer: Claimed | Exception | None = field(
        default_factory=lambda: Claimed(TaskExecution.model_validate(RUNNING), Position(partition=3, offset=1208))
    )
    seconds: float = 0
    wanted: list[tuple[ClaimTaskExecution, str]] = field(default_factory=list)
    cancelled: int = 0
    awaited: list[AwaitTaskExecutions] = field(default_factory=list)

    async def ended(self, awaited: AwaitTaskExecutions) -> EndedTaskExecutions:
        self.awaited.append(awaited)
        return EndedTaskExecutions(items=(EndedTaskExecution(id=ID, status=Status.STOPPED),))

    async def claim(
        self, wanted: ClaimTaskExecution, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> Claimed | None:
        self.wanted.append((wanted, source))
        assert not trace
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def recorded(type_: str, status: str, data: dict[str, Any]) -> RecordedEvent:
    place = {"partition": 3, "offset": 1207}
    event = {"type": f"TaskExecution{type_}", "time": METADATA["createdAt"], "status": status, "position": place}
    return RecordedEvent.model_validate(event | {"data": data})


REJECTION = TaskCommandRejection(
    position=Position(partition=3, offset=1207),
    rejected_at=Timestamp(2026, 3, 2, 4, tzinfo=UTC),
    command_type="ExecuteTask",
    command_source="/airflow",
    problem=problem(Code.INVALID_COMMAND, "not what it must be", (FieldError(pointer="#/taskId", detail="missing"),)),
    record=OriginalRecord(
        topic="task-execution.commands", partition=3, offset=7, timestamp=Timestamp(2026, 3, 2, 4, tzinfo=UTC),
        headers=(OriginalHeader(name="ce_type", value="RXhlY3V0ZVRhc2s="),), value="eyJhIjogIhv/In0=", value_size=11,
    ),
)  # fmt: skip


DEFINITION: dict[str, Any] = {
    "taskId": "sales:daily_report", "version": "1.2.0", "status": "PUBLISHED", "type": "sql",
    "inputVariables": [
        {"name": "day", "type": "string", "description": "Of the report", "validation": {"pattern": "^[0-9-]+$"}},
        {"name": "top", "type": "number", "required": False, "defaultValue": 10, "validation": {"minValue": 1}},
    ],
    "outputVariables": [{"name": "rows", "type": "number"}],
}  # fmt: skip


class ScriptedDefinitions:
    """What a topic with these records would make of definitions."""

    def __init__(self, *definitions: dict[str, Any]) -> None:
        self.error: Exception | None = None
        self.versions = Versions()
        for definition in definitions or (DEFINITION,):
            self.publish(definition)

    def publish(self, definition: dict[str, Any]) -> None:
        key = definition_key(definition["taskId"], definition["version"]).encode()
        self.versions.take(Record("task-definitions", 0, 0, 0, key, json.dumps(definition).encode(), ()))

    async def list(self, request: ListTaskDefinitions) -> TaskDefinitionPage:
        if self.error:
            raise self.error
        return page_of(self.versions, request)

    async def get(self, task_id: str, version: str) -> TaskDefinitionAnswer:
        if self.error:
            raise self.error
        return answer_of(self.versions, task_id, version)

    async def rehearse(self, command: ExecuteTask, execution_id: str, source: str, at: Timestamp) -> TaskExecution:
        return rehearsed(self.versions, command, execution_id, source, at)


def standing(age_seconds: int) -> ProjectionStatus:
    """One partition, 3 of whose offsets are not stored."""
    now = Timestamp.now(UTC).replace(microsecond=0)
    at = int((now.timestamp() - age_seconds) * 1000)
    return projection_status([PartitionPosition(EVENTS_TOPIC, 0, 6, 7, at)], {(EVENTS_TOPIC, 0): 10}, now)


@dataclass
class ScriptedQueries:
    """Answers with fixed data, or raises, and keeps what was asked."""

    error: Exception | None = None
    asked: list[dict[str, object]] = field(default_factory=list)
    executions: list[dict[str, Any]] = field(default_factory=lambda: [PENDING])
    """`get` goes through them, and stays with the last one."""
    events: list[RecordedEvent] = field(
        default_factory=lambda: [recorded("Stopped", "STOPPED", {"requestedBy": "ben", "reason": "superseded"})]
    )
    """What `history` tells after the creation."""
    graph_told: dict[str, Any] = field(default_factory=lambda: GRAPH)
    statistics: dict[str, Any] = field(default_factory=dict)
    """What `stats` says besides the counts."""
    standing: ProjectionStatus = field(default_factory=lambda: standing(age_seconds=1))
    offsets: list[int] | None = field(default_factory=lambda: [5, 8])
    """`next_offsets`; who asks for them is not kept."""
    outages: list[Exception] = field(default_factory=list)
    """The first queries raise these."""

    async def get(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionAnswer:
        self._ask(execution_id=execution_id, min_position=min_position)
        execution = self.executions.pop(0) if len(self.executions) > 1 else self.executions[0]
        return TaskExecutionAnswer.model_validate(execution | FRESH)

    async def history(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionHistory:
        self._ask(execution_id=execution_id, min_position=min_position)
        created = {"createdBy": "anna", "resolvedInputs": {"day": "2026-03-01"}}
        items = [recorded("Created", "PENDING", created), *self.events]
        dropped = {name: value for name, value in self.executions[0].items() if name == "payloadsDropped"}
        return TaskExecutionHistory.model_validate({"executionId": execution_id, "items": items} | dropped | FRESH)

    async def graph(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionGraph:
        self._ask(execution_id=execution_id, min_position=min_position)
        return TaskExecutionGraph.model_validate({"executionId": execution_id} | self.graph_told | FRESH)

    async def list(self, request: ListTaskExecutions) -> TaskExecutionPage:
        self._ask(**request.model_dump(exclude_unset=True, by_alias=False))
        page = {"items": [FAILURE, PENDING], "total": 7, "pageNumber": 1, "pageSize": 2, "nextCursor": "bmV4dA"}
        return TaskExecutionPage.model_validate(page | FRESH | ({"counts": COUNTS} if request.counts else {}))

    async def failures(self, request: GetTaskExecutionFailures) -> TaskExecutionFailures:
        self._ask(**request.model_dump(exclude_unset=True, by_alias=False))
        return TaskExecutionFailures.model_validate({"items": [GROUP], "total": 9, "groupCount": 3} | FRESH)

    async def inbox(self, request: GetTaskExecutionFailureInbox) -> TaskExecutionFailureInbox:
        self._ask(**request.model_dump(exclude_unset=True, by_alias=False))
        return TaskExecutionFailureInbox.model_validate(
            {"items": [INBOX, INBOX | {"curedBy": CURED}], "total": 2} | FRESH
        )

    async def rejections(self, request: ListTaskCommandRejections) -> TaskCommandRejectionPage:
        self._ask(**request.model_dump(exclude_unset=True, by_alias=False))
        listed = REJECTION.model_copy(update={"record": None})
        return TaskCommandRejectionPage(items=(listed,), total=3, page_size=1, next_cursor="1:3:1207")

    async def rejection(self, position: str) -> TaskCommandRejection:
        self._ask(position=position)
        return REJECTION

    async def projection(self) -> ProjectionStatus:
        self._ask()
        return self.standing

    async def next_offsets(self) -> Sequence[int] | None:
        if self.error:
            raise self.error
        return self.offsets

    async def stats(self, task_id: str | None = None, **given: Any) -> TaskExecutionStats:
        self._ask(task_id=task_id, **given)
        counts = (
            COUNTS
            | {"total": 21}
            | ({"groupCount": len(self.statistics.get("groups", ()))} if given.get("group_by") else {})
        )
        return TaskExecutionStats.model_validate({"taskId": task_id} | counts | self.statistics | FRESH)

    async def failing_tasks(self, created_from: Timestamp, limit: int) -> FailingTasks:
        self._ask(created_from=created_from, limit=limit)
        stats = TaskExecutionStats.model_validate({"taskId": None} | COUNTS | {"total": 21} | self.statistics | FRESH)
        groups = stats.groups or ()
        return FailingTasks(groups, len(groups))

    def _ask(self, **given: object) -> None:
        self.asked.append(given)
        if self.outages:
            raise self.outages.pop()
        if self.error:
            raise self.error


class ScriptedLive:
    """Tells of nothing."""

    readers = 0

    async def follow(self, wanted: FollowTaskExecutions) -> AsyncGenerator[bytes, None]:
        assert wanted

        async def nothing() -> AsyncGenerator[bytes, None]:
            yield b"retry: 2000\n\n"

        return nothing()
