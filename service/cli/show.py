"""How the API's answers look as tables."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from service.cli.output import write_record, write_table
from service.contracts.status import Status

Json = Mapping[str, Any]

PAYLOADS_DROPPED: Final = "inputs and outputs were dropped: they are not kept as long as the rest"

_COUNTS: Final = ("total", *(status.value.lower() for status in Status))


def show_execution(execution: Json) -> None:
    """One execution, a line per field; what its status does not have is left out."""
    metadata = execution["metadata"]
    write_record({
        "id": execution["id"],
        "task": f"{execution['taskId']} {execution['taskVersion']}",
        "status": execution["status"],
        "created": f"{metadata['createdAt']} by {metadata['createdBy']}",
        "started": execution.get("startedAt"),
        "completed": execution.get("completedAt"),
        "took": _duration(execution),
        "tags": ", ".join(metadata["tags"]) or None,
        "depends on": ", ".join(map(_dependency, execution.get("dependsOn", ()))) or None,
        "not before": execution.get("notBefore"),
        "attempt": f"{execution['attempt']} of {execution.get('retryOf')}" if "attempt" in execution else None,
        "tried again": execution.get("retriedBy"),
        "worker": execution.get("owner"),
        "progress": _progress(execution),
        "spark": metadata.get("sparkApplicationId"),
        "inputs": execution.get("resolvedInputs"),
        "outputs": execution.get("outputs"),
        "error": execution.get("errorMessage"),
        "skipped": execution.get("skipReason"),
        "payloads": PAYLOADS_DROPPED if "payloadsDropped" in execution else None,
    })  # fmt: skip


def _dependency(one: Json) -> str:
    return f"{one['node']} ({one['executionId']}{':' + one['condition'] if 'condition' in one else ''})"


def _progress(execution: Json) -> str | None:
    """How far its worker says it is."""
    parts = [f"{execution['progress']:.0%}" if "progress" in execution else "", execution.get("message", "")]
    return " ".join(filter(None, parts)) or None


def show_page(executions: Iterable[Json]) -> None:
    """Executions, a line each."""
    write_table(
        ("ID", "STATUS", "TASK", "VERSION", "CREATED", "BY", "TOOK", "WHY"),
        (
            (
                execution["id"],
                execution["status"],
                execution["taskId"],
                execution["taskVersion"],
                execution["metadata"]["createdAt"],
                execution["metadata"]["createdBy"],
                _duration(execution),
                execution.get("errorMessage") or execution.get("skipReason"),
            )
            for execution in executions
        ),
    )


def show_history(history: Json) -> None:
    """The events of an execution, a line each."""
    write_table(
        ("TIME", "EVENT", "STATUS", "POSITION", "WHAT"),
        (
            (
                event["time"],
                event["type"],
                event["status"],
                position_of(event),
                _what(event["data"]),
            )
            for event in history["items"]
        ),
    )


def show_stats(stats: Json, what: str, grouping: str) -> None:
    """Counts, a line for each group and one for all; with the times, where they were asked for."""
    rows = [(group["key"], group) for group in stats.get("groups", ())] + [(what, stats)]
    timed = any("runTime" in each or "queueTime" in each for _, each in rows)
    names = [f"{kind}_{level}" for kind in ("queue", "run") for level in ("p50", "p95")] if timed else []
    write_table(
        [name.upper() for name in (grouping, *_COUNTS, "rate", *names)],
        (
            (
                key,
                *(each[name] for name in _COUNTS),
                f"{each['successRate']:.1%}" if "successRate" in each else None,
                *(_milliseconds(each, *name.split("_")) for name in names),
            )
            for key, each in rows
        ),
    )


def show_failures(groups: Iterable[Json]) -> None:
    """Groups of failures, a line each."""
    write_table(
        ("COUNT", "FINGERPRINT", "TASKS", "FIRST SEEN", "LAST SEEN", "NEWEST"),
        (
            (
                group["count"],
                group["fingerprint"],
                _tasks(group),
                group["firstSeen"],
                group["lastSeen"],
                group["executionId"],
            )
            for group in groups
        ),
    )


def _tasks(group: Json) -> str:
    others = group["taskCount"] - len(group["tasks"])
    return ", ".join(group["tasks"]) + (f" and {others} more" if others else "")


def _milliseconds(counts: Json, kind: str, level: str) -> str | None:
    times = counts.get(f"{kind}Time")
    return f"{times[level] / 1000:.1f} s" if times else None


def position_of(record: Json) -> str:
    """Its place, as the options and arguments of the command line take it."""
    return f"{record['position']['partition']}:{record['position']['offset']}"


def how_much(page: Json) -> str:
    """How much of all is on the page, and how to go on."""
    more = f"; the next page: --cursor {page['nextCursor']}" if "nextCursor" in page else ""
    counts = ", ".join(f"{status} {page['counts'][status.lower()]}" for status in Status) if "counts" in page else ""
    return f"{len(page['items'])} of {page['total']}{counts and f' ({counts})'}{more}"


def _what(event: Json) -> str | None:  # noqa: PLR0911 - one for each kind of event
    """What the event says beyond its type."""
    match event:
        case {"resolvedInputs": inputs}:
            return f"by {event['createdBy']}: {json.dumps(inputs, ensure_ascii=False)}"
        case {"outputs": outputs}:
            return json.dumps(outputs, ensure_ascii=False)
        case {"errorMessage": str(text)} | {"skipReason": str(text)}:
            return text
        case {"requestedBy": who}:
            return ": ".join([f"by {who}", *([event["reason"]] if "reason" in event else [])])
        case {"owner": str(owner)}:
            return f"by {owner}"
        case {"previousStatus": "RUNNING", "status": "RUNNING"} if told := _progress(event):
            return told
        case {"previousStatus": "PENDING", "sparkApplicationId": application} | {
            "previousStatus": "RUNNING",
            "status": "RUNNING",
            "sparkApplicationId": application,
        }:
            return f"as {application}"
        case _:
            return None


def _duration(execution: Json) -> str | None:
    """How long it has run, or ran."""
    if "startedAt" not in execution:
        return None
    end = _time(execution["completedAt"]) if "completedAt" in execution else datetime.now(UTC)
    seconds = max((end - _time(execution["startedAt"])).total_seconds(), 0)
    return f"{seconds:.1f} s"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
