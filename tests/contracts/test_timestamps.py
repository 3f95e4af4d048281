"""One form for every time that we write, whatever its fraction: texts sort as times do."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.contracts.events import TaskExecutionCreated, encode_event, read_event
from service.contracts.executions import Metadata
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp, decode_hook, rfc3339, schema_hook

TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))])).filter(
    lambda at: 1 < at.year < 9999
)
OLD_FORMS = ["2026-03-02T04:00:00Z", "2026-03-02T04:00:00.000000Z", "2026-03-02T05:00:00.000+01:00"]


def created(at: Timestamp) -> TaskExecutionCreated:
    return TaskExecutionCreated(
        execution_id="e", sequence=1, occurred_at=at, status=Status.PENDING, task_id="a:b", task_version="1.0.0",
        created_by="me", created_at=at, tags=(), command_id="e", command_hash="", resolved_inputs={},
    )  # fmt: skip


@given(TIMES)
def test_models_and_events_write_the_same_24_characters(at: datetime) -> None:
    time = Timestamp.of(at)
    text = str(time)
    assert len(text) == len("2026-03-02T04:00:00.000Z")
    assert text.endswith("Z")
    assert timedelta() <= at - time < timedelta(milliseconds=1)
    assert json.loads(encode_event(created(time)))["createdAt"] == text
    model = Metadata(created_at=time, created_by="me")
    assert model.model_dump(mode="json")["createdAt"] == json.loads(model.model_dump_json())["createdAt"] == text


@given(TIMES, TIMES)
def test_texts_sort_as_the_times_do(one: datetime, other: datetime) -> None:
    first, second = Timestamp.of(one), Timestamp.of(other)
    assert (str(first) < str(second)) is (first < second)


@pytest.mark.parametrize("text", OLD_FORMS)
def test_what_was_written_in_other_forms_is_read(text: str) -> None:
    expected = Timestamp(2026, 3, 2, 4, tzinfo=UTC)
    body = encode_event(created(expected)).replace(str(expected).encode(), text.encode())
    event = read_event("TaskExecutionCreated", body)
    assert isinstance(event, TaskExecutionCreated)
    assert (event.created_at, type(event.created_at)) == (expected, Timestamp)
    assert encode_event(event) == encode_event(created(expected))
    assert TypeAdapter(Timestamp).validate_json(f'"{text}"') == expected


@pytest.mark.parametrize("text", ["2026-03-02T04:00:00", "yesterday", "", "2026-03-02T25:00:00Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    body = encode_event(created(Timestamp(2026, 3, 2, tzinfo=UTC))).replace(b"2026-03-02T00:00:00.000Z", text.encode())
    with pytest.raises(ValueError, match=r"createdAt|occurredAt"):
        read_event("TaskExecutionCreated", body)
    with pytest.raises(ValidationError):
        TypeAdapter(Timestamp).validate_python(text)


def test_a_span_later_is_a_timestamp_again() -> None:
    later = Timestamp(2026, 3, 2, tzinfo=UTC) + timedelta(hours=1)
    assert (type(later), str(later)) == (Timestamp, "2026-03-02T01:00:00.000Z")


def test_the_hooks_are_for_timestamps_only() -> None:
    with pytest.raises(AttributeError, match="object"):
        msgspec.json.encode(object(), enc_hook=rfc3339)
    with pytest.raises(NotImplementedError, match="complex"):
        decode_hook(complex, "1")
    with pytest.raises(NotImplementedError, match="complex"):
        schema_hook(complex)
