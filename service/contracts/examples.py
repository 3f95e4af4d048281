"""One example of every message body, made from the models, so that none can be wrong. The documents show them."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from service.contracts.codec import decode
from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.definitions import DEFINITION_TYPE, TaskDefinition
from service.contracts.envelope import CORRELATION_ID, REPLY_TO, envelope_headers
from service.contracts.envelope import SOURCE as SERVICE
from service.contracts.events import (
    Event,
    TaskExecutionCreated,
    TaskExecutionFailed,
    TaskExecutionProgressed,
    TaskExecutionReady,
    TaskExecutionSkipped,
    TaskExecutionStarted,
    TaskExecutionStopped,
    TaskExecutionSucceeded,
    encode_event,
)
from service.contracts.executions import Metadata, TaskExecution
from service.contracts.problems import Code, FieldError, problem
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalHeader, OriginalRecord
from service.contracts.replies import REPLY_TYPE, CommandReply, Outcome, Position
from service.contracts.sensitive import Sensitive
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import REPLIES_TOPIC

_CAUSE: Final = "daily_report/2026-03-01"
_PLACE: Final = "task-execution.commands/3/12007"
EXECUTION_ID: Final = "38c4e671-57d4-5dbe-9884-92ea998f9c19"
SOURCE: Final = "/schedulers/main"

_CREATED = Timestamp.parse("2026-03-02T04:00:00.125Z")
_STARTED = Timestamp.parse("2026-03-02T04:00:07.500Z")
_ENDED = Timestamp.parse("2026-03-02T04:03:41Z")
_SEALED: Final = {
    "sealed": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiMjAyNi0wMyJ9..KuJYHfYZggNXsH7t.r5lV_sSkYtQ."
    "ak5JxSt_RoBsub9Y4X49rw"
}
_RESOLVED: dict[str, Any] = {"day": "2026-03-01", "top": 10, "region": None, "token": _SEALED}

_TASK: dict[str, Any] = {"task_id": "sales:daily_report", "task_version": "1.2.0"}
_SHARED: dict[str, Any] = {
    **_TASK,
    "execution_id": EXECUTION_ID,
    "created_by": "scheduler",
    "created_at": _CREATED,
    "tags": ("nightly",),
    "command_id": "5d3e8f6a-30a4-5d07-8c4e-9d4f0a6b7c21",
    "command_hash": "9f86d081884c7d659a2feaa0c55ad015",
}
_FIRST: dict[str, Any] = {**_SHARED, "command_id": EXECUTION_ID, "occurred_at": _CREATED}
_STARTS: dict[str, Any] = {"started_at": _STARTED, "occurred_at": _STARTED}
_ENDS: dict[str, Any] = {"completed_at": _ENDED, "occurred_at": _ENDED}
_WAITED: dict[str, Any] = {**_SHARED, "sequence": 2, "previous_status": Status.PENDING}
_RAN: dict[str, Any] = {**_SHARED, "sequence": 3, "previous_status": Status.RUNNING, "started_at": _STARTED}

_COMMANDS: Final[tuple[Command, ...]] = (
    ExecuteTask(**_TASK, inputs={"day": "2026-03-01", "token": "s3cret"}, created_by="scheduler", tags=("nightly",)),
    StartTaskExecution(execution_id=EXECUTION_ID, spark_application_id="application_1700000000000_0042"),
    HeartbeatTaskExecution(execution_id=EXECUTION_ID, owner="worker-7/2f9c", progress=0.4, message="loading"),
    SucceedTaskExecution(execution_id=EXECUTION_ID, outputs={"rows": 1832}),
    FailTaskExecution(execution_id=EXECUTION_ID, error_message="disk full on node 7"),
    StopTaskExecution(execution_id=EXECUTION_ID, reason="superseded by a newer run", requested_by="anna"),
    SkipTaskExecution(execution_id=EXECUTION_ID, reason=SkipCause.UPSTREAM_FAILED, node="collect_data"),
)

_EVENTS: Final[tuple[Event, ...]] = (
    TaskExecutionCreated(
        **_FIRST, sequence=1, status=Status.PENDING, resolved_inputs=_RESOLVED, sensitive=Sensitive(("token",), ())
    ),
    TaskExecutionReady(**_WAITED, occurred_at=_CREATED, status=Status.PENDING),
    TaskExecutionStarted(**_WAITED, **_STARTS, status=Status.RUNNING),
    TaskExecutionProgressed(**_RAN, occurred_at=_STARTED, status=Status.RUNNING, progress=0.4, message="loading"),
    TaskExecutionSucceeded(**_RAN, **_ENDS, status=Status.SUCCESS, outputs={"rows": 1832}),
    TaskExecutionFailed(**_RAN, **_ENDS, status=Status.FAILURE, error_message="disk full on node 7"),
    TaskExecutionStopped(
        **_RAN, **_ENDS, status=Status.STOPPED, requested_by="anna", reason="superseded by a newer run"
    ),
    TaskExecutionSkipped(**_WAITED, **_ENDS, status=Status.SKIPPED, skip_reason="upstream_failed: collect_data"),
)

_PROBLEM = problem(
    Code.INVALID_INPUTS,
    "The inputs do not fit the definition of sales:daily_report 1.2.0: see errors.",
    (FieldError(pointer="#/inputs/day", detail="required, but missing"),),
)

_ACCEPTED: Final = CommandReply(
    outcome=Outcome.ACCEPTED,
    task_execution=TaskExecution(
        **_TASK,
        id=EXECUTION_ID,
        status=Status.PENDING,
        resolved_inputs=_RESOLVED,
        metadata=Metadata(created_at=_CREATED, created_by="scheduler", tags=("nightly",)),
    ),
    position=Position(partition=3, offset=41_872),
)
_REFUSED: Final = CommandReply(outcome=Outcome.REJECTED, problem=_PROBLEM)

_REJECTION: Final = CommandRejected(
    problem=_PROBLEM,
    record=OriginalRecord(
        topic="task-execution.commands",
        partition=3,
        offset=12_007,
        timestamp=_CREATED,
        headers=(OriginalHeader(name="ce_type", value="RXhlY3V0ZVRhc2s="),),
        value="eyJ0YXNrSWQiOiJzYWxlczpkYWlseV9yZXBvcnQiLCJ0YXNrVmVyc2lvbiI6IjEuMi4wIiwiaW5wdXRzIjp7fX0=",
        value_size=65,
    ),
)

_DEFINITION: Final = TaskDefinition.model_validate(
    {
        "taskId": "sales:daily_report",
        "version": "1.2.0",
        "status": "PUBLISHED",
        "type": "pyspark_operator",
        "inputVariables": [
            {"name": "day", "type": "string", "validation": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}},
            {"name": "top", "type": "number", "required": False, "defaultValue": 10},
            {"name": "region", "type": "string", "required": False},
            {"name": "token", "type": "string", "required": False, "sensitive": True},
        ],
        "outputVariables": [{"name": "rows", "type": "number"}],
    }
)


def _headers(
    type_: str, id_: str, subject: str | None, source: str = SERVICE, at: Timestamp = _CREATED
) -> dict[str, str]:
    return {name: value.decode() for name, value in envelope_headers(type_, id_, subject, at, source=source)}


@dataclass(frozen=True, slots=True)
class Example:
    """A message: its body and its Kafka headers."""

    body: BaseModel | Event
    headers: dict[str, str]

    @property
    def payload(self) -> dict[str, Any]:
        """The body as it stands in JSON."""
        if isinstance(self.body, BaseModel):
            return self.body.model_dump(mode="json", by_alias=True, exclude_none=True)
        event: dict[str, Any] = decode(encode_event(self.body))
        return event


def _command(body: Command) -> Example:
    kind, subject = type(body).__name__, None if isinstance(body, ExecuteTask) else EXECUTION_ID
    asked = {REPLY_TO: REPLIES_TOPIC, CORRELATION_ID: "7"}
    return Example(body, {**_headers(kind, f"{_CAUSE}/{kind}", subject, SOURCE), **asked})


def _event(body: Event) -> Example:
    cause = {"ce_causationid": f"{_CAUSE}/ExecuteTask", "ce_causationsource": SOURCE}
    id_ = f"{EXECUTION_ID}/{body.sequence}"
    return Example(body, {**_headers(type(body).__name__, id_, EXECUTION_ID, at=body.occurred_at), **cause})


EXAMPLES: Final[dict[str, list[Example]]] = {
    **{type(body).__name__: [_command(body)] for body in _COMMANDS},
    **{type(body).__name__: [_event(body)] for body in _EVENTS},
    REPLY_TYPE: [
        Example(
            _ACCEPTED,
            {**_headers(REPLY_TYPE, "task-execution.commands/3/12006/reply", EXECUTION_ID), CORRELATION_ID: "7"},
        ),
        Example(_REFUSED, {**_headers(REPLY_TYPE, f"{_PLACE}/reply", f"{_PLACE}/reply"), CORRELATION_ID: "7"}),
    ],
    REJECTION_TYPE: [Example(_REJECTION, _headers(REJECTION_TYPE, _PLACE, _PLACE))],
    DEFINITION_TYPE: [Example(_DEFINITION, {})],
}
"""Of every message, by its name."""
