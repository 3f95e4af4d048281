"""How the API's answers look as tables."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from service.cli.cells import Id, Time, Word
from service.cli.output import Format, Output, Table, write_record
from service.contracts.status import Status

Json = Mapping[str, Any]

PAYLOADS_DROPPED: Final = "inputs and outputs were dropped: they are not kept as long as the rest"

_COUNTS: Final = ("total", *(status.value.lower() for status in Status))


def write_execution(execution: Json, out: Output) -> None:
    """One execution, whole, in the format that was asked for."""
    out.write(execution, lambda: executions_table([execution], out), lambda: show_execution(execution))


def show_execution(execution: Json) -> None:
    """One execution, a line per field; what its status does not have is left out."""
    metadata = execution["metadata"]
    write_record({
        "id": execution["id"],
        "task": f"{execution['taskId']} {execution['taskVersion']}",
        "status": Word(execution["status"]),
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


def executions_table(executions: Iterable[Json], out: Output) -> Table:
    """Executions, a line each; for programs, the columns that `export` writes."""
    if out.format in {Format.CSV, Format.JSONL}:
        from service.queries.flat import COLUMNS, row_of  # noqa: PLC0415 - only what writes rows pays for it

        return Table([*COLUMNS], map(row_of, executions))
    heads = ["ID", "STATUS", "TASK", "VERSION", "CREATED", "BY", "TOOK"]
    more = ["STARTED", "COMPLETED", "WORKER", "TAGS"] if out.is_wide else []
    return Table(
        [*heads, *more, "WHY"],
        (
            (
                Id(one["id"]),
                Word(one["status"]),
                one["taskId"],
                one["taskVersion"],
                Time(one["metadata"]["createdAt"]),
                one["metadata"]["createdBy"],
                _duration(one),
                *((time_of(one, "startedAt"), time_of(one, "completedAt"), one.get("owner")) if more else ()),
                *([", ".join(one["metadata"]["tags"])] if more else []),
                one.get("errorMessage") or one.get("skipReason"),
            )
            for one in executions
        ),
    )


def time_of(record: Json, name: str) -> Time | None:
    """The time of this name, if there is one."""
    return Time(record[name]) if name in record else None


def history_table(history: Json) -> Table:
    """The events of an execution, a line each."""
    return Table(("TIME", "EVENT", "STATUS", "POSITION", "WHAT"), map(event_row, history["items"]))


def event_row(event: Json) -> tuple[object, ...]:
    """An event: when, what, the status then, its place, and what it says beyond its type."""
    return Time(event["time"]), event["type"], Word(event["status"]), position_of(event), what_of(event["data"])


def stats_table(stats: Json, what: str, grouping: str) -> Table:
    """Counts, a line for each group and one for all; with the times, where they were asked for."""
    rows = [(group["key"], group) for group in stats.get("groups", ())] + [(what, stats)]
    timed = any("runTime" in each or "queueTime" in each for _, each in rows)
    names = [f"{kind}_{level}" for kind in ("queue", "run") for level in ("p50", "p95")] if timed else []
    return Table(
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


def failures_table(groups: Iterable[Json]) -> Table:
    """Groups of failures, a line each."""
    return Table(
        ("COUNT", "FINGERPRINT", "TASKS", "FIRST SEEN", "LAST SEEN", "NEWEST"),
        (
            (
                group["count"],
                group["fingerprint"],
                _tasks(group),
                Time(group["firstSeen"]),
                Time(group["lastSeen"]),
                Id(group["executionId"]),
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


def what_of(event: Json) -> str | None:  # noqa: PLR0911 - one for each kind of event
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
