from base64 import b64encode
from datetime import UTC
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from msgspec.structs import replace

from service.contracts.codec import encode
from service.contracts.envelope import Headers, envelope_headers
from service.contracts.problems import Code, problem
from service.contracts.rejections import REJECTION_TYPE, CommandRejected, OriginalHeader, OriginalRecord
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from service.contracts.topics import EVENTS_TOPIC, REJECTIONS_TOPIC
from service.kafka.connection import Kafka
from service.kafka.records import Record
from service.projection.batch import Batch, Insert, make_batch
from service.projection.rows import (
    UnreadableRecordError,
    event_row,
    rejection_row,
)
from tests.queries.lives import T0, body, execution_id, headers, life, raw_record, record, records

HERE = Kafka("kafka:9092")
T0_MS = 1_772_443_800_000


def test_a_row_has_the_small_fields_and_the_rest_of_the_body_as_it_was() -> None:
    created, _, failed = life("a", Status.FAILURE, tags=("x", "ü"), inputs={"a": None})
    row = event_row(record(failed, 8, partition=3))._asdict()
    assert row == {
        "execution_id": UUID(execution_id("a")), "sequence": 3, "type": "TaskExecutionFailed",
        "status": "FAILURE", "previous_status": "RUNNING",
        "task_id": "etl:load", "task_version": "1.0.0", "created_at": T0_MS,
        "started_at": T0_MS + 1000, "completed_at": T0_MS + 3000, "created_by": "ana", "tags": ["x", "ü"],
        "payload": '{"status":"FAILURE","completedAt":3000,"errorMessage":"disk full"}',
        "topic": EVENTS_TOPIC, "partition": 3, "offset": 8,
    }  # fmt: skip
    first = event_row(record(created, 0))._asdict()
    assert (first["started_at"], first["completed_at"], first["previous_status"]) == (None, None, None)
    assert first["payload"] == (
        '{"taskId":"etl:load","taskVersion":"1.0.0","createdBy":"ana","tags":["x","ü"],"resolvedInputs":{"a":null}}'
    )


(CREATED,) = life("a", Status.PENDING)
GOOD, TYPED = body(CREATED), headers(CREATED)


@pytest.mark.parametrize(
    ("value", "sent", "flaw"),
    [
        (None, TYPED, "JSON|EOF|expected"),
        (b"{", TYPED, "EOF"),
        (b"\xff", TYPED, ""),
        (GOOD, [], "the type is ''"),
        (GOOD, [("ce_type", b"SomethingElse")], "the type is 'SomethingElse'"),
        (GOOD, [("ce_type", b"\xff")], "the type is"),
        (GOOD.replace(b'"sequence":1', b'"sequence":0'), TYPED, "sequence"),
        (GOOD.replace(b"PENDING", b"PAUSED"), TYPED, "PAUSED"),
        (GOOD.replace(b"09:30:00.000Z", b"09:30:00.000"), TYPED, "no zone"),
        (GOOD.replace(execution_id("a").encode(), b"not-a-uuid"), TYPED, "UUID"),
        (GOOD.replace(b'"schemaVersion":2', b'"schemaVersion":3'), TYPED, "schemaVersion"),
    ],
)
def test_what_is_no_event_is_unreadable_and_named(value: bytes | None, sent: Headers, flaw: str) -> None:
    with pytest.raises(UnreadableRecordError, match=f"task-execution.events/2/17: .*(?s:{flaw})"):
        event_row(raw_record(EVENTS_TOPIC, value, sent, offset=17, partition=2))


def test_an_event_of_a_later_version_is_kept_whole() -> None:
    later = GOOD.replace(b"{", b'{"progress":0.5,', 1)
    for type_ in ("TaskExecutionCreated", "TaskExecutionProgressed"):
        row = event_row(raw_record(EVENTS_TOPIC, later, [("ce_type", type_.encode())]))
        assert (row.type, row.status, row.payload[:16]) == (type_, "PENDING", '{"progress":0.5,')


def rejection(value: bytes | None, *sent: tuple[str, bytes]) -> Record:
    original = OriginalRecord(
        topic="task-execution.commands", partition=1, offset=5, timestamp=T0, value_size=len(value or b""),
        headers=tuple(OriginalHeader(name=name, value=b64encode(content).decode()) for name, content in sent),
        value=None if value is None else b64encode(value).decode(),
    )  # fmt: skip
    rejected = CommandRejected(problem=problem(Code.INVALID_TRANSITION, "not possible"), record=original)
    types = envelope_headers(REJECTION_TYPE, "id", "subject", T0)
    return raw_record(REJECTIONS_TOPIC, encode(rejected.model_dump(mode="json", exclude_none=True)), types, 9, 1)


ID = execution_id("x")
COMMAND = f'{{"executionId":"{ID}"}}'.encode()
BINARY = (("ce_type", b"FailTaskExecution"), ("ce_source", b"/airflow"))
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=utf-8")
WHOLE = b'{"type":"FailTaskExecution","source":"/airflow","data":' + COMMAND + b"}"


@pytest.mark.parametrize(
    ("value", "sent", "expected"),
    [
        (COMMAND, BINARY, (UUID(ID), "FailTaskExecution", "/airflow")),
        (WHOLE, [STRUCTURED], (UUID(ID), "FailTaskExecution", "/airflow")),
        (b"{", BINARY, (None, "FailTaskExecution", "/airflow")),
        (b"[]", [STRUCTURED], (None, "", "")),
        (None, [], (None, "", "")),
        (b'{"executionId":7}', [("ce_type", b"\xff")], (None, "\ufffd", "")),
    ],
)
def test_a_rejection_tells_of_the_command_what_can_be_read(
    value: bytes | None, sent: list[tuple[str, bytes]], expected: tuple[object, ...]
) -> None:
    row = rejection_row(rejection(value, *sent))._asdict()
    assert (row["execution_id"], row["command_type"], row["command_source"]) == expected
    assert (row["partition"], row["offset"], row["code"], row["detail"]) == (1, 9, "invalid_transition", "not possible")
    assert '"title"' in row["problem"]


def test_a_rejection_that_an_earlier_version_wrote_with_a_nul_is_read() -> None:
    written = rejection(COMMAND, *BINARY, ("a?b", b""))
    old = raw_record(
        REJECTIONS_TOPIC, (written.value or b"").replace(b"a?b", b"a\\u0000b"), list(written.headers), 9, 1
    )
    row = rejection_row(old)._asdict()
    assert (row["execution_id"], row["command_type"]) == (UUID(ID), "FailTaskExecution")


def test_what_is_no_rejection_is_unreadable() -> None:
    with pytest.raises(UnreadableRecordError, match="not TaskCommandRejected"):
        rejection_row(raw_record(REJECTIONS_TOPIC, b"{}", []))
    with pytest.raises(UnreadableRecordError, match="problem"):
        rejection_row(raw_record(REJECTIONS_TOPIC, b"{}", [("ce_type", REJECTION_TYPE.encode())]))


def test_a_batch_stops_each_partition_before_what_it_cannot_read() -> None:
    good = list(records(life("a")))
    bad = raw_record(EVENTS_TOPIC, b"{", TYPED, offset=2, partition=1)
    other = [record(event, offset, partition=1) for offset, event in enumerate(life("b"))]
    batch = make_batch(
        {
            TopicPartition(EVENTS_TOPIC, 0): good,
            TopicPartition(EVENTS_TOPIC, 1): [*other[:2], bad, record(life("c")[0], 3, 1)],
            TopicPartition(REJECTIONS_TOPIC, 1): [rejection(None)],
        },
        HERE,
    )
    assert len(batch.events.rows) == 5
    assert batch.events.token == "task-execution.events:0:0-2,task-execution.events:1:0-1"  # noqa: S105 - of a batch
    assert batch.rejections.token == "task-execution.rejections:1:9-9"  # noqa: S105 - of a batch
    assert {partition: offset for partition, (offset, _) in batch.unreadable.items()} == {
        TopicPartition(EVENTS_TOPIC, 1): 2
    }


def test_a_batch_of_nothing_inserts_nothing() -> None:
    assert make_batch({}, HERE) == Batch()
    bad = raw_record(EVENTS_TOPIC, b"{", TYPED, offset=2)
    assert make_batch({TopicPartition(EVENTS_TOPIC, 0): [bad]}, HERE).events == Insert()


def test_times_keep_their_milliseconds() -> None:
    at = Timestamp(2026, 3, 2, 9, 30, 0, 123_000, tzinfo=UTC)
    row = event_row(record(life("a", at=at)[0], 0))._asdict()
    assert row["created_at"] == T0_MS + 123


def test_rows_have_our_names_for_topics_whatever_the_prefix() -> None:
    kafka = Kafka("kafka:9092", "eu-1.")
    event = replace(record(life("a")[0], 0), topic=kafka.topic(EVENTS_TOPIC))
    refused = replace(rejection(None), topic=kafka.topic(REJECTIONS_TOPIC))
    batch = make_batch(
        {kafka.partition(EVENTS_TOPIC, 0): [event], kafka.partition(REJECTIONS_TOPIC, 1): [refused]}, kafka
    )
    assert [row.topic for row in batch.events.rows] == [EVENTS_TOPIC]
    assert [row.topic for row in batch.rejections.rows] == [REJECTIONS_TOPIC]
