"""Events grow: every later version reads them, and an earlier one misunderstands none."""

import json
from datetime import UTC
from typing import Any

import pytest

from service.contracts.events import (
    EVENT_TYPES,
    SCHEMA_VERSION,
    TaskExecutionCreated,
    UnknownEvent,
    encode_event,
    read_event,
)
from service.contracts.examples import EXAMPLES
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.domain.view import view

NOTED: dict[str, Any] = {**EXAMPLES["TaskExecutionStarted"][0].payload, "sequence": 256}
LATER = "2026-03-02T05:00:00.000Z"


def read(type_: str, **changes: Any) -> Any:
    return read_event(type_, json.dumps({**NOTED, **changes}).encode())


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_says_when_it_happened_and_which_schema_it_has(name: str) -> None:
    payload = EXAMPLES[name][0].payload
    assert payload["schemaVersion"] == SCHEMA_VERSION
    event = read_event(name, json.dumps(payload).encode())
    assert json.loads(encode_event(event)) == payload  # type: ignore[arg-type]  # it is of a known type
    assert str(event.occurred_at) == payload["occurredAt"]


def test_a_sequence_has_no_ceiling() -> None:
    assert read("TaskExecutionStarted", sequence=100_000).sequence == 100_000


def test_when_it_happened_is_not_taken_from_the_status() -> None:
    assert str(read("TaskExecutionStarted", occurredAt=LATER).occurred_at) == LATER


def test_an_event_of_version_1_happened_when_its_status_was_reached() -> None:
    old = {name: value for name, value in NOTED.items() if name not in {"schemaVersion", "occurredAt"}}
    event = read_event("TaskExecutionStarted", json.dumps(old).encode())
    assert event.occurred_at == event.started_at


def test_what_a_later_version_adds_to_an_event_is_left_alone() -> None:
    assert read("TaskExecutionStarted", worker="w-1") == read("TaskExecutionStarted")


def test_of_an_event_of_a_later_type_what_all_share_is_read() -> None:
    event = read("TaskExecutionArchived", progress=0.5, outputs={"rows": 1})
    assert (type(event), event.sequence, event.status) == (UnknownEvent, 256, Status.RUNNING)
    created = EXAMPLES["TaskExecutionCreated"][0].body
    assert isinstance(created, TaskExecutionCreated)
    record = view([created, event])
    assert (record.status, record.outputs, record.resolved_inputs) == (
        Status.RUNNING, {"rows": 1}, created.resolved_inputs,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 3},
        {"schemaVersion": None},
        {"schemaVersion": "2"},
        {"status": "WAITING"},
        {"occurredAt": None},
        {"occurredAt": 1},
    ],
)
@pytest.mark.parametrize("type_", ["TaskExecutionStarted", "TaskExecutionArchived"])
def test_what_could_be_misunderstood_is_not_read(type_: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        read(type_, **changes)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"a":1,"a":2}'])
def test_what_is_no_event_is_not_read(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_event("TaskExecutionCreated", body)


def test_times_of_events_are_timestamps() -> None:
    assert type(read("TaskExecutionStarted").occurred_at) is Timestamp
    assert read("TaskExecutionStarted").occurred_at.tzinfo is UTC
