"""Compares ClickHouse, row by row, with the events and rejections in Kafka."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import clickhouse_connect

from tests.chaos.checker import Verdict, Written
from tests.chaos.topics import Read

_EVENTS: Final = (
    "SELECT toString(executionId) AS id, sequence, type, payload, partition, offset FROM task_execution_events FINAL"
)
_TRANSITIONS: Final = (
    "SELECT toString(executionId) AS id, toString(status) AS status, toString(previousStatus) AS left, taskId, "
    "taskVersion, createdBy, tags, toUnixTimestamp64Milli(createdAt) AS created, "
    "toUnixTimestamp64Milli(startedAt) AS started, toUnixTimestamp64Milli(t.at) AS at, message "
    "FROM task_execution_transitions AS t FINAL"
)
_OPEN: Final = (
    "SELECT toString(executionId) AS id, toString(status) AS status, sequence FROM task_executions_open FINAL"
)
_REJECTIONS: Final = "SELECT partition, offset, code FROM task_command_rejections FINAL"

_LEFT_OUT: Final = {"executionId", "sequence", "schemaVersion", "commandId", "commandHash", "createdAt"}
_CONSTANT: Final = {"taskId", "taskVersion", "createdBy", "tags"}
_USUALLY_BEFORE: Final = {
    "RUNNING": "PENDING", "SUCCESS": "RUNNING", "FAILURE": "RUNNING", "STOPPED": "RUNNING", "SKIPPED": "PENDING",
}  # fmt: skip

Row = tuple[Any, ...]


def check_clickhouse(directory: Path, written: Written, verdict: Verdict) -> int:
    """Note every row that is missing, too many or different; returns how many rows of events there are.

    The projector must have read everything, and must have ended: a chdb directory has one user at a time.
    """
    client = clickhouse_connect.get_client(interface="chdb", path=str(directory))
    try:
        rows = [(*row[:3], _same(row[3]), *row[4:]) for row in client.query(_EVENTS).result_rows]
        _compare("event", rows, [_event_row(event) for event in written.all_events], verdict)
        found = client.query(_TRANSITIONS).result_rows
        transitions = [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in found]
        wanted_rows = [_transition_row(event) for event in written.all_events if _moves(event)]
        _compare("transition", transitions, wanted_rows, verdict)
        newest = [json.loads(events[-1].value or b"{}") for events in written.events.values()]
        wanted = [
            (body["executionId"], body["status"], body["sequence"]) for body in newest if "completedAt" not in body
        ]
        _compare("open execution", [tuple(row) for row in client.query(_OPEN).result_rows], wanted, verdict)
        rejected = [tuple(row) for row in client.query(_REJECTIONS).result_rows]
        wanted = [(*item.place, json.loads(item.value or b"{}")["problem"]["code"]) for item in written.rejections]
        _compare("rejection", rejected, wanted, verdict)
    finally:
        client.close()
    return len(rows)


def _compare(what: str, found: list[Row], wanted: list[Row], verdict: Verdict) -> None:
    if len({*found}) < len(found):
        verdict.blame(f"ClickHouse: {what} twice", len(found) - len({*found}))
    for row in {*wanted} - {*found}:
        verdict.blame(f"ClickHouse: {what} missing", row)
    for row in {*found} - {*wanted}:
        verdict.blame(f"ClickHouse: {what} that Kafka does not have", row)


def _event_row(event: Read) -> Row:
    body = json.loads(event.value or b"{}")
    elsewhere = _LEFT_OUT | (_CONSTANT if body["sequence"] > 1 else {"status"})
    if body.get("occurredAt") == (body.get("completedAt") or body.get("startedAt") or body["createdAt"]):
        elsewhere |= {"occurredAt"}
    if body.get("previousStatus") == _USUALLY_BEFORE.get(body["status"]):
        elsewhere |= {"previousStatus"}
    if body.get("previousStatus") == "RUNNING":
        elsewhere |= {"startedAt"}
    kept = {name: value for name, value in body.items() if name not in elsewhere}
    created = _epoch_ms(body["createdAt"]) or 0
    times = kept.keys() & {"startedAt", "completedAt", "occurredAt"}
    kept |= {name: (_epoch_ms(kept[name]) or 0) - created for name in times}
    payload = _same(json.dumps(kept))
    key = (event.key or b"").decode()
    return key, body["sequence"], event.text("ce_type"), payload, event.partition, event.offset


def _same(payload: str) -> str:
    """Equal for equal JSON."""
    return json.dumps(json.loads(payload), sort_keys=True)


def _moves(event: Read) -> bool:
    body = json.loads(event.value or b"{}")
    return bool(body.get("previousStatus") != body["status"])


def _transition_row(event: Read) -> Row:
    body = json.loads(event.value or b"{}")
    created, started, completed = (_epoch_ms(body.get(name)) for name in ("createdAt", "startedAt", "completedAt"))
    return (
        body["executionId"], body["status"], body.get("previousStatus", "NONE"), body["taskId"],
        body["taskVersion"], body["createdBy"],
        tuple(body.get("tags", ())), created, started if completed is not None else None,
        completed or started or created, (body.get("errorMessage") or body.get("skipReason") or "")[:4096],
    )  # fmt: skip


def _epoch_ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
