"""What is written of an accepted command: its events, and the commands that it causes in turn."""

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import Command, ExecuteTask, StartTaskExecution, StopTaskExecution
from service.contracts.envelope import SOURCE, Envelope
from service.contracts.events import read_event
from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import COMMANDS_TOPIC
from service.domain.decided import Decision
from service.domain.identity import command_id
from service.handling.batches import Outgoing
from service.handling.deciding import Accepted, Rung
from service.handling.incoming import CommandReader, Readable
from service.handling.records import command_records, event_records, forwarded_record, trace_of
from tests.handling.pure import (
    AT,
    EXECUTE,
    EXECUTION,
    START,
    TASK,
    accepted,
    command_record,
    lifecycle,
    raw_record,
    state_after,
)

TRACE = [("traceparent", b"00-1"), ("tracestate", b"a=1")]
AT_MS = 1_772_424_007_125
LATER = AT + timedelta(milliseconds=1)
OTHER = "11111111-1111-5111-8111-111111111111"
RUN = ExecuteTask.model_validate(TASK)
STOP = StopTaskExecution(execution_id=OTHER)


# -- events


def test_an_event_is_a_cloud_event_of_its_execution_that_names_its_cause() -> None:
    cause = command_record("ExecuteTask", TASK, headers=TRACE)
    (record,) = event_records(accepted(cause))
    assert (record.key, record.timestamp) == (EXECUTION.encode(), AT_MS)
    assert sorted(record.headers) == sorted(
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", f"{EXECUTION}/1".encode()),
            ("ce_source", SOURCE.encode()),
            ("ce_type", b"TaskExecutionCreated"),
            ("ce_subject", EXECUTION.encode()),
            ("ce_time", b"2026-03-02T04:00:07.125Z"),
            ("content-type", b"application/json"),
            ("ce_causationid", b"1"),
            ("ce_causationsource", b"/tests"),
            *TRACE,
        ]
    )
    event = read_event("TaskExecutionCreated", record.value or b"")
    assert (event.execution_id, event.sequence, event.occurred_at) == (EXECUTION, 1, AT)


def test_the_events_of_a_decision_come_in_order_each_with_its_own_sequence_and_time() -> None:
    first = accepted(START, state_after(EXECUTE))
    second = accepted(lifecycle("StopTaskExecution", id_="3"), first.state, at=LATER)
    decision = Decision((*first.decision.events, *second.decision.events))
    records = list(event_records(replace(first, decision=decision, bodies=(*first.bodies, *second.bodies))))
    assert [record.value for record in records] == [*first.bodies, *second.bodies]
    assert [(header(item, "ce_id"), header(item, "ce_type"), item.timestamp) for item in records] == [
        (f"{EXECUTION}/2", "TaskExecutionStarted", AT_MS),
        (f"{EXECUTION}/3", "TaskExecutionStopped", AT_MS + 1),
    ]
    assert [header(item, "ce_time") for item in records] == ["2026-03-02T04:00:07.125Z", "2026-03-02T04:00:07.126Z"]
    assert {header(item, "ce_causationid") for item in records} == {"2"}


def test_a_decision_whose_bodies_do_not_match_its_events_is_never_written() -> None:
    answer = accepted(EXECUTE)
    with pytest.raises(ValueError, match="zip"):
        list(event_records(replace(answer, bodies=())))


# -- commands that follow


def causing(*commands: Command, cause: Accepted | None = None) -> list[Outgoing]:
    answer = cause or accepted(command_record("ExecuteTask", TASK, headers=TRACE))
    return list(command_records(replace(answer, decision=Decision(commands=commands)), LATER))


def read(record: Outgoing) -> Readable:
    copy = raw_record(record.value, record.headers, key=record.key, timestamp=record.timestamp, offset=99)
    found = CommandReader(0, 1).read(copy)
    assert isinstance(found, Readable), found
    return found


def test_a_command_that_follows_can_be_read_as_any_other() -> None:
    written = [RUN, STOP, StartTaskExecution(execution_id=EXECUTION, spark_application_id="app-1")]
    found = [read(record) for record in causing(*written)]
    assert [item.command for item in found] == written
    assert {item.envelope.source for item in found} == {SOURCE}
    assert [item.envelope.trace for item in found] == [tuple(TRACE)] * 3
    assert not any(item.reply_to or item.envelope.placed for item in found)


def test_the_identity_of_a_command_that_follows_is_made_of_what_caused_it() -> None:
    created = accepted(replace(EXECUTE, partition=2, offset=17))
    started = accepted(replace(START, partition=2, offset=18), state_after(EXECUTE))
    ids = [read(record).envelope.id for cause in (created, started) for record in causing(RUN, STOP, cause=cause)]
    assert ids == [f"{COMMANDS_TOPIC}/2/{offset}/{number}" for offset in (17, 18) for number in (1, 2)]
    assert causing(RUN, STOP) == causing(RUN, STOP)


def test_what_a_timer_tells_one_execution_in_several_parts_has_one_identity() -> None:
    """Of those that wait, some are told at a time: each part begins to count anew."""
    envelope = Envelope(f"{EXECUTION}/resolve", SOURCE, "resolve", EXECUTION, None)
    start = StartTaskExecution(execution_id=EXECUTION)
    parts = [Rung(EXECUTION, envelope, Decision(commands=told), ()) for told in ([STOP], [start, STOP])]
    ids = [header(record, "ce_id") for part in parts for record in command_records(part, LATER)]
    assert ids == [f"{EXECUTION}/resolve/{told}" for told in (OTHER, EXECUTION, OTHER)]


def test_a_command_that_follows_is_keyed_by_the_execution_that_it_is_about() -> None:
    run, stop = causing(RUN, STOP)
    assert run.key == command_id(SOURCE, header(run, "ce_id")).encode() == read(run).execution_id.encode()
    assert stop.key == OTHER.encode() == read(stop).execution_id.encode()
    assert [header(item, "ce_subject") for item in (run, stop)] == [read(run).execution_id, OTHER]


def test_a_command_that_follows_has_the_time_of_its_transaction() -> None:
    (record,) = causing(STOP)
    assert (record.timestamp, header(record, "ce_time")) == (AT_MS + 1, "2026-03-02T04:00:07.126Z")


def test_what_is_absent_is_left_out_of_a_command_and_nulls_inside_its_inputs_are_kept() -> None:
    run = RUN.model_copy(update={"inputs": {"day": None}})
    assert [json.loads(record.value or b"") for record in causing(run, STOP)] == [
        {**TASK, "inputs": {"day": None}, "tags": []},
        {"executionId": OTHER},
    ]


def test_of_nothing_that_follows_nothing_is_written() -> None:
    assert causing() == []


# -- records that belong elsewhere


def test_a_forwarded_record_is_the_clients_own() -> None:
    headers = [("ce_id", b"1"), ("ce_id", b"2"), ("empty", None), ("bytes", b"\xff")]
    record = raw_record(b"{ }", headers, key=b"k", timestamp=5)
    assert forwarded_record(record) == Outgoing(b"k", b"{ }", headers, 5)
    assert forwarded_record(raw_record(None, timestamp=-1)) == Outgoing(None, None, [], -1)


# -- traces


def test_both_trace_headers_are_passed_on_and_no_other() -> None:
    assert trace_of(raw_record(b"", [("x", b"1"), *TRACE, ("ce_id", b"1")])) == TRACE


def test_the_case_of_a_trace_headers_name_makes_no_difference() -> None:
    record = command_record("ExecuteTask", TASK, headers=[("TraceParent", b"00-1")])
    (event,) = event_records(accepted(record))
    assert trace_of(record) == TRACE[:1] == [pair for pair in event.headers if pair[0] == "traceparent"]


@pytest.mark.parametrize("count", [2, 1000])
def test_of_many_trace_headers_one_each_is_passed_on(count: int) -> None:
    headers = [(name, b"%d" % number) for number in range(count) for name in ("tracestate", "traceparent")]
    assert sorted(trace_of(raw_record(b"", headers))) == [(name, b"%d" % (count - 1)) for name, _ in TRACE]


@pytest.mark.parametrize(("value", "kept"), [(MAX_ATTRIBUTE, 1), (MAX_ATTRIBUTE + 1, 0), (1, 1), (0, 0), (None, 0)])
def test_a_trace_header_has_some_bytes_and_not_too_many(value: int | None, kept: int) -> None:
    headers = [("traceparent", None if value is None else b"t" * value)]
    record = command_record("ExecuteTask", TASK, headers=headers)
    (event,) = event_records(accepted(record))
    assert trace_of(record) == headers * kept == [pair for pair in event.headers if pair[0] == "traceparent"]


@pytest.mark.parametrize(
    ("at", "milliseconds"),
    [
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:00:01.001Z", 1001),  # as a float in seconds it is a bit less
        ("2026-03-02T04:00:07.125Z", AT_MS),
        ("9999-12-31T23:59:59.999Z", 253402300799999),
    ],
)
def test_kafkas_times_are_exact(at: str, milliseconds: int) -> None:
    assert epoch_ms(Timestamp.parse(at)) == milliseconds


def header(record: Outgoing, name: str) -> str:
    return dict(record.headers)[name].decode()
