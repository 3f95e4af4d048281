"""Compares ClickHouse, row by row, with the events and rejections in Kafka."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import clickhouse_connect

from tests.chaos.checker import Verdict, Written
from tests.chaos.topics import Read

_EVENTS: Final = (
    "SELECT toString(executionId) AS id, sequence, type, toString(status) AS status, "
    "toUnixTimestamp64Milli(eventTime) AS at, payload, partition, offset FROM task_execution_events FINAL"
)
_EXECUTIONS: Final = (
    "SELECT toString(executionId) AS id, sequence, toString(status) AS status, taskId, taskVersion, createdBy, tags, "
    "toUnixTimestamp64Milli(createdAt) AS created, toUnixTimestamp64Milli(startedAt) AS started, "
    "toUnixTimestamp64Milli(completedAt) AS completed, durationMs FROM {table} FINAL"
)
_REJECTIONS: Final = "SELECT partition, offset, code FROM task_command_rejections FINAL"

Row = tuple[Any, ...]


def check_clickhouse(directory: Path, written: Written, verdict: Verdict) -> int:
    """Note every row that is missing, too many or different; returns how many rows of events there are.

    The projector must have read everything, and must have ended: a chdb directory has one user at a time.
    """
    client = clickhouse_connect.get_client(interface="chdb", path=str(directory))
    try:
        rows = [tuple(row) for row in client.query(_EVENTS).result_rows]
        _compare("event", rows, [_event_row(event) for event in written.all_events], verdict)
        newest = [_execution_row(events[-1]) for events in written.events.values()]
        for table in ("task_executions", "task_executions_by_task"):
            found = client.query(_EXECUTIONS.format(table=table)).result_rows
            _compare(
                table, [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in found], newest, verdict
            )
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
    payload = (event.value or b"{}").decode()
    body = json.loads(payload)
    at = _epoch_ms(body.get("completedAt") or body.get("startedAt") or body["createdAt"])
    key = (event.key or b"").decode()
    return key, body["sequence"], event.text("ce_type"), body["status"], at, payload, event.partition, event.offset


def _execution_row(event: Read) -> Row:
    body = json.loads(event.value or b"{}")
    created, started, completed = (_epoch_ms(body.get(name)) for name in ("createdAt", "startedAt", "completedAt"))
    duration = completed - started if started is not None and completed is not None else None
    return (
        body["executionId"], body["sequence"], body["status"], body["taskId"], body["taskVersion"], body["createdBy"],
        tuple(body.get("tags", ())), created, started, completed, duration,
    )  # fmt: skip


def _epoch_ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
