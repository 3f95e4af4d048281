"""The quick way from an event to its row: the same row as the slow way makes, or none at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.events import EVENT_TYPES, Event, encode_event
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC
from service.kafka.records import Record
from service.ports.projection_store import EventRow
from service.projection.own_events import own_row
from service.projection.rows import UnreadableRecordError, any_event_row
from tests.queries.lives import life, raw_record

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
TIMES = st.integers(0, 4_000_000_000_000).map(Timestamp.from_epoch_ms)
LIVES = st.builds(
    life,
    st.integers(),
    st.sampled_from(Status),
    at=TIMES,
    started=st.booleans(),
    inputs=OBJECTS,
    outputs=OBJECTS,
    why=TEXTS,
    task_id=TEXTS,
    created_by=TEXTS,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
    spark_application_id=st.none() | TEXTS,
)
EVENTS = LIVES.flatmap(st.sampled_from)
FIELDS = st.sampled_from(sorted({field for kind in EVENT_TYPES.values() for field in kind.__struct_encode_fields__}))
ODD = (
    JSON
    | st.sampled_from(["PENDING", "FAILURE", "2026-03-02T04:00:00Z", "2026-03-02T05:00:00.0009+01:00", "2026-03-02"])
    | st.sampled_from(["6a9f1a1e7a5b5d3a8d0e0d8a3f1c2b4e", "6A9F1A1E-7A5B-5D3A-8D0E-0D8A3F1C2B4E", "{}", "1e999"])
)


def as_record(body: bytes) -> Record:
    return raw_record(EVENTS_TOPIC, body, [], offset=7, partition=2)


def read(row: EventRow) -> EventRow:
    """With what the payload says, in whatever order."""
    return row._replace(payload=json.dumps(json.loads(row.payload), sort_keys=True))


def check(type_: str, body: bytes) -> None:
    """The quick way is never wrong; it may leave it to the slow one."""
    record = as_record(body)
    if (row := own_row(type_, record)) is not None:
        assert read(row) == read(any_event_row(type_, record))


@given(EVENTS)
def test_what_this_version_writes_is_made_to_the_same_bytes(event: Event) -> None:
    type_, record = type(event).__name__, as_record(encode_event(event))
    assert own_row(type_, record) == any_event_row(type_, record)


@given(EVENTS, st.dictionaries(FIELDS, ODD, max_size=3), st.lists(FIELDS, max_size=2), st.randoms())
def test_whatever_an_event_has_instead_of_its_fields_nothing_is_misread(
    event: Event, instead: dict[str, Any], without: list[str], random: Any
) -> None:
    fields = json.loads(encode_event(event)) | instead
    mixed = [name for name in fields if name not in without]
    if random.random() < 0.5:
        random.shuffle(mixed)
    body = json.dumps({name: fields[name] for name in mixed}, ensure_ascii=random.random() < 0.5)
    for type_ in (type(event).__name__, "TaskExecutionSucceeded"):
        check(type_, body.encode(errors="surrogatepass"))


@given(
    EVENTS, st.integers(0), st.integers(0, 2), st.binary(max_size=2) | st.sampled_from([b"null", b"1e999", b"\\u0000"])
)
def test_whatever_bytes_are_damaged_nothing_is_misread(event: Event, place: int, cut: int, put: bytes) -> None:
    body = encode_event(event)
    place %= len(body)
    check(type(event).__name__, body[:place] + put + body[place + cut :])


@pytest.mark.parametrize("value", [b"1e999", b'"\xff"', b'"\\ud800"', b"NaN", b"01"])
def test_what_nobody_could_read_later_is_refused(value: bytes) -> None:
    """Inputs and outputs are stored in the bytes that they have."""
    event = life("a", inputs={"x": 7})[0]
    body = encode_event(event).replace(b'{"x":7}', b'{"x":' + value + b"}")
    assert own_row("TaskExecutionCreated", as_record(body)) is None
    with pytest.raises(UnreadableRecordError):
        any_event_row("TaskExecutionCreated", as_record(body))


@pytest.mark.parametrize("name", ["occurredAt", "createdAt", "startedAt", "completedAt", "notBefore"])
def test_what_is_no_time_is_refused(name: str) -> None:
    having = [event for event in life("a", Status.SUCCESS) if name in event.__struct_encode_fields__]
    assert having
    for event in having:
        fields = json.loads(encode_event(event)) | {name: "soon"}
        type_, record = type(event).__name__, as_record(json.dumps(fields).encode())
        assert own_row(type_, record) is None
        with pytest.raises(UnreadableRecordError):
            any_event_row(type_, record)


def test_what_a_later_version_adds_and_what_is_sealed_is_left_to_the_slow_way() -> None:
    body = encode_event(life("a")[0])
    assert own_row("TaskExecutionCreated", as_record(body)) is not None
    assert own_row("TaskExecutionProgressed", as_record(body)) is None
    for more in ('{"progress":0.5,', '{"sensitive":{"inputs":["x"],"outputs":[]},'):
        record = as_record(body.replace(b"{", more.encode(), 1))
        assert own_row("TaskExecutionCreated", record) is None
        assert any_event_row("TaskExecutionCreated", record).payload.startswith(more)
