"""The whole record, by status: which fields there are is the specification's table."""

import json
from datetime import UTC
from typing import Any

import pytest

from service.contracts.events import EVENT_TYPES, Event
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view

T1, T2, T3 = (Timestamp(2026, 1, 1, 12, 0, n, 5000, UTC) for n in (1, 2, 3))
BASE: dict[str, Any] = {
    "execution_id": "e",
    "task_id": "etl:load",
    "task_version": "1.0.0",
    "created_by": "ann",
    "created_at": T1,
    "tags": ("nightly",),
    "command_id": "c",
    "command_hash": "h",
}


def event(kind: str, sequence: int, status: str, **more: Any) -> Event:
    return EVENT_TYPES[kind](**BASE, sequence=sequence, occurred_at=T3, status=Status(status), **more)


RAN = {"started_at": T2, "spark_application_id": "app-1"}
DONE = {"completed_at": T3}
CREATED = event("TaskExecutionCreated", 1, "PENDING", resolved_inputs={"day": None})
STARTED = event("TaskExecutionStarted", 2, "RUNNING", **RAN)
SUCCEEDED = event("TaskExecutionSucceeded", 3, "SUCCESS", **RAN, **DONE, outputs={"n": None})
FAILED = event("TaskExecutionFailed", 3, "FAILURE", **RAN, **DONE, error_message="full")
ENDS = {
    "PENDING": [CREATED],
    "RUNNING": [CREATED, STARTED],
    "SUCCESS": [CREATED, STARTED, SUCCEEDED],
    "FAILURE": [CREATED, STARTED, FAILED],
    "STOPPED": [CREATED, event("TaskExecutionStopped", 2, "STOPPED", **DONE, requested_by="bob")],
    "STOPPED while running": [
        CREATED,
        STARTED,
        event("TaskExecutionStopped", 3, "STOPPED", **RAN, **DONE, requested_by="bob"),
    ],
    "SKIPPED": [CREATED, event("TaskExecutionSkipped", 2, "SKIPPED", **DONE, skip_reason="condition_false: a")],
}
EXTRA: dict[str, dict[str, Any]] = {
    "PENDING": {},
    "RUNNING": {"startedAt": "2026-01-01T12:00:02.005Z"},
    "SUCCESS": {"startedAt": "2026-01-01T12:00:02.005Z", "outputs": {"n": None}},
    "FAILURE": {"startedAt": "2026-01-01T12:00:02.005Z", "errorMessage": "full"},
    "STOPPED": {},
    "STOPPED while running": {"startedAt": "2026-01-01T12:00:02.005Z"},
    "SKIPPED": {"skipReason": "condition_false: a"},
}


@pytest.mark.parametrize("end", ENDS)
def test_the_record_has_what_its_status_says(end: str) -> None:
    started = {"sparkApplicationId": "app-1"} if "startedAt" in EXTRA[end] else {}
    completed = {} if end in {"PENDING", "RUNNING"} else {"completedAt": "2026-01-01T12:00:03.005Z"}
    assert json.loads(view(ENDS[end]).model_dump_json(exclude_none=True)) == {
        "id": "e",
        "taskId": "etl:load",
        "taskVersion": "1.0.0",
        "status": end.partition(" ")[0],
        "resolvedInputs": {"day": None},
        **EXTRA[end],
        **completed,
        "metadata": {"createdAt": "2026-01-01T12:00:01.005Z", "createdBy": "ann", "tags": ["nightly"], **started},
    }
