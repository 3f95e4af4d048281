"""What earlier versions have stored, as it was recorded from them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.kafka.records import Record

VERSION_1, VERSION_2, VERSION_3 = (Path(__file__).parent / f"version_{number}" for number in (1, 2, 3))


def records(name: str, version: Path = VERSION_1) -> Iterator[Record]:
    """The records of a topic: `events`, `state` or `rejections`."""
    for line in (version / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        recorded = json.loads(line)
        key, value = (part and part.encode() for part in (recorded["key"], recorded["value"]))
        yield Record(
            topic=recorded["topic"], partition=recorded["partition"], offset=recorded["offset"],
            timestamp=recorded["timestamp"], key=key, value=value,
            headers=tuple((header, content.encode()) for header, content in recorded["headers"]),
        )  # fmt: skip


def answers(version: Path = VERSION_1) -> dict[str, Any]:
    """What Get said of each execution, by a name."""
    told: dict[str, Any] = json.loads((version / "answers.json").read_text(encoding="utf-8"))
    return told


def kept_by_version_3(body: dict[str, Any]) -> dict[str, Any]:
    """What it kept of the body of an event: all times as texts, and every status."""
    left_out = {"executionId", "sequence", "schemaVersion", "commandId", "commandHash"}
    if body["sequence"] > 1:
        left_out |= {"taskId", "taskVersion", "createdBy", "createdAt", "tags"}
    if body.get("occurredAt") == (body.get("completedAt") or body.get("startedAt") or body["createdAt"]):
        left_out |= {"occurredAt"}
    return {name: value for name, value in body.items() if name not in left_out}
