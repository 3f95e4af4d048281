"""The summaries and examples in the OpenAPI document. A test checks that each example fits its schema."""

from typing import Any, Final

EXECUTION_ID: Final = "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"

SUMMARIES: Final = {
    "ExecuteTask": "Run one version of a task",
    "StartTaskExecution": "It began to run",
    "HeartbeatTaskExecution": "It still runs",
    "SucceedTaskExecution": "It ended well",
    "FailTaskExecution": "It ended badly",
    "StopTaskExecution": "End it early",
    "SkipTaskExecution": "It will never run",
}

COMMAND_BODIES: Final[dict[str, dict[str, Any]]] = {
    "ExecuteTask": {
        "taskId": "sales:daily_report",
        "taskVersion": "1.2.0",
        "inputs": {"day": "2026-03-01", "top": 10},
        "createdBy": "scheduler",
        "tags": ["nightly"],
    },
    "StartTaskExecution": {"sparkApplicationId": "application_1700000000000_0042"},
    "HeartbeatTaskExecution": {"owner": "worker-7/2f9c", "progress": 0.4},
    "SucceedTaskExecution": {"outputs": {"rows": 1832}},
    "FailTaskExecution": {"errorMessage": "disk full on node 7"},
    "StopTaskExecution": {"reason": "superseded by a newer run", "requestedBy": "anna"},
    "SkipTaskExecution": {"reason": "upstream_failed", "node": "collect_data"},
}

EXECUTION: Final[dict[str, Any]] = {
    "id": EXECUTION_ID,
    "taskId": "sales:daily_report",
    "taskVersion": "1.2.0",
    "status": "PENDING",
    "resolvedInputs": {"day": "2026-03-01", "top": 10},
    "metadata": {"createdAt": "2026-03-02T04:00:00.125Z", "createdBy": "scheduler", "tags": ["nightly"]},
}

CLAIM: Final[dict[str, Any]] = {
    "owner": "worker-7/2f9c",
    "lease": "PT30S",
    "tasks": [{"taskId": "sales:daily_report", "version": ">=1.2"}],
    "wait": 20,
}
CLAIMED: Final[dict[str, Any]] = EXECUTION | {
    "status": "RUNNING",
    "startedAt": "2026-03-02T04:00:00.250Z",
    "owner": "worker-7/2f9c",
}
AWAITED: Final[dict[str, Any]] = {"executionIds": [EXECUTION_ID], "wait": 20}
RERUN: Final[dict[str, Any]] = {"inputs": {"day": "2026-03-02"}, "createdBy": "anna"}
NEW_ID: Final = "5b0e6a54-0d1f-5d6c-8d6e-7a1a7c1b9f02"
ACTIONS: Final[dict[str, Any]] = {
    "ask": {
        "value": {
            "action": "rerun",
            "filter": {"taskId": "sales:daily_report", "status": ["FAILURE"], "completedFrom": "24h"},
            "dryRun": True,
        }
    },
    "act": {"value": {"action": "rerun", "executionIds": [EXECUTION_ID], "requestedBy": "anna"}},
}
ACTED: Final[dict[str, Any]] = {
    "ask": {"value": {"matched": 1, "executionIds": [EXECUTION_ID], "asOf": "2026-03-02T04:00:03.500Z"}},
    "act": {
        "value": {
            "items": [
                {
                    "executionId": EXECUTION_ID,
                    "outcome": "accepted",
                    "status": "PENDING",
                    "newExecutionId": NEW_ID,
                }
            ],
            "accepted": 1,
            "duplicates": 0,
            "rejected": 0,
            "unanswered": 0,
        }
    },
}

STREAM: Final = f"""\
retry: 2000
id: 0:12,1:7

id: 0:13,1:7
event: TaskExecutionStarted
data: {{"type":"TaskExecutionStarted","time":"2026-03-02T04:00:00.250Z","executionId":"{EXECUTION_ID}","sequence":2,\
"status":"RUNNING","position":"0:12","data":{{"taskId":"sales:daily_report","previousStatus":"PENDING"}}}}

: alive
"""
