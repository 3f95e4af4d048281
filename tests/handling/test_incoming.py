"""Stage 1, read: what a record says, whatever a client put into it; and no broker is needed to say it."""

from typing import Any

import pytest
from msgspec.structs import replace

from service.contracts.attributes import MAX_ATTRIBUTE
from service.contracts.commands import ExecuteTask, StartTaskExecution
from service.contracts.problems import Code
from service.contracts.topics import MAX_COMMAND_BYTES
from service.domain.identity import command_id
from service.handling.incoming import CommandReader, Incoming, Readable, ReplyAddress, Unreadable, set_aside
from service.kafka.murmur2 import partition_of
from service.kafka.records import CutValue, Record
from tests.handling.pure import TASK, command_record, raw_record, reply_headers

PARTITIONS = 4
EXECUTION = command_id("/tests", "1")
START = {"executionId": EXECUTION}


def read(record: Record, partition: int = 0) -> Incoming:
    return CommandReader(partition, PARTITIONS).read(record)


def readable(record: Record, partition: int = 0) -> Readable:
    found = read(record, partition)
    assert isinstance(found, Readable), found
    return found


def unreadable(record: Record) -> Unreadable:
    found = read(record)
    assert isinstance(found, Unreadable), found
    return found


def test_an_execute_task_is_about_the_execution_that_its_identity_makes() -> None:
    record = command_record("ExecuteTask", TASK)
    found = readable(record)
    assert isinstance(found.command, ExecuteTask)
    assert (found.record, found.reply_to) == (record, None)
    assert found.command_id == found.execution_id == EXECUTION


def test_any_other_command_is_about_the_execution_that_it_names() -> None:
    found = readable(command_record("StartTaskExecution", START, id_="2"))
    assert isinstance(found.command, StartTaskExecution)
    assert (found.command_id, found.execution_id) == (command_id("/tests", "2"), EXECUTION)


# -- size


def size_of(record: Record) -> int:
    """As the limit counts: key, value, and each header with four bytes of lengths."""
    headers = sum(len(name.encode()) + len(value or b"") + 4 for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


@pytest.mark.parametrize("filled", ["value", "header", "header name", "key"])
def test_a_command_has_exactly_so_many_bytes_with_key_and_headers(filled: str) -> None:
    def filled_with(count: int) -> Record:
        inputs = {"day": "d" * count if filled == "value" else ""}
        headers = [("other" + "é" * (count // 2 if filled == "header name" else 0), b"")]
        headers += [("more", b"x" * (count if filled == "header" else count % 2 if filled == "header name" else 0))]
        key = b"k" * (count if filled == "key" else 0)
        return command_record("ExecuteTask", {**TASK, "inputs": inputs}, headers=headers, key=key)

    room = MAX_COMMAND_BYTES - size_of(filled_with(0))
    assert size_of(filled_with(room)) == MAX_COMMAND_BYTES
    readable(filled_with(room))
    problem = unreadable(filled_with(room + 1)).problem
    assert problem.code == Code.PAYLOAD_TOO_LARGE
    assert f"{MAX_COMMAND_BYTES + 1} bytes" in problem.detail
    assert f"at most {MAX_COMMAND_BYTES}" in problem.detail


def test_a_command_that_was_cut_is_too_large_and_its_flaw_is_told() -> None:
    whole = command_record("ExecuteTask", TASK, headers=reply_headers())
    cut = CutValue(whole.value or b"", 9_000_000, "ab" * 32, "It has 9000000 bytes.")
    found = unreadable(replace(whole, value=cut))
    assert found.problem.code == Code.PAYLOAD_TOO_LARGE
    assert found.problem.detail.startswith("It has 9000000 bytes. ")
    assert str(MAX_COMMAND_BYTES) in found.problem.detail
    assert found.reply_to == ReplyAddress("task-execution.replies", b"re:1")


# -- replies


@pytest.mark.parametrize("correlation_id", [None, b"", b"\xff\x00", b"c" * MAX_ATTRIBUTE])
def test_a_correlation_id_is_any_bytes(correlation_id: bytes | None) -> None:
    headers = reply_headers("task-execution.replies.billing", correlation_id)
    found = readable(command_record("ExecuteTask", TASK, headers=headers))
    assert found.reply_to == ReplyAddress("task-execution.replies.billing", correlation_id)


def test_a_correlation_id_without_a_reply_topic_asks_for_nothing() -> None:
    found = readable(command_record("ExecuteTask", TASK, headers=[("correlation_id", b"c" * (MAX_ATTRIBUTE + 1))]))
    assert found.reply_to is None


@pytest.mark.parametrize(
    "topic",
    [
        "task-execution.events", "task-execution.replies.", "task-execution.replies.a/b", "task-execution.repliesX",
        "x.task-execution.replies", "task-execution.replies\n", "task-execution.replies." + "x" * 201, "\ud800",
    ],
)  # fmt: skip
def test_only_reply_topics_are_replied_to(topic: str) -> None:
    header = ("reply_to", topic.encode(errors="surrogatepass"))
    found = unreadable(command_record("ExecuteTask", TASK, headers=[header]))
    assert (found.problem.code, found.reply_to) == (Code.INVALID_REPLY_TO, None)


@pytest.mark.parametrize("rest", ["", ".billing"])
def test_with_a_prefix_reply_topics_have_it(rest: str) -> None:
    def asked(topic: str) -> Incoming:
        record = command_record("ExecuteTask", TASK, headers=reply_headers(topic))
        return CommandReader(0, PARTITIONS, "eu-1.").read(record)

    ours = f"eu-1.task-execution.replies{rest}"
    assert asked(ours).reply_to == ReplyAddress(ours, b"re:1")
    assert set_aside(command_record("ExecuteTask", TASK, headers=reply_headers(ours)), "eu-1.", bare=False).reply_to
    for other in (f"task-execution.replies{rest}", f"eu-2.task-execution.replies{rest}", f"eu-1.{ours}"):
        found = asked(other)
        assert isinstance(found, Unreadable)
        assert found.problem.code == Code.INVALID_REPLY_TO
        assert "Use eu-1.task-execution.replies or an existing topic eu-1.task-execution" in found.problem.detail


def test_a_correlation_id_that_a_reply_cannot_carry_is_refused_unreplied() -> None:
    headers = reply_headers(correlation_id=b"c" * (MAX_ATTRIBUTE + 1))
    found = unreadable(command_record("ExecuteTask", TASK, headers=headers))
    assert (found.problem.code, found.reply_to) == (Code.INVALID_REPLY_TO, None)
    assert f"{MAX_ATTRIBUTE + 1} bytes; at most {MAX_ATTRIBUTE}" in found.problem.detail


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (raw_record(b"{", reply_headers()), Code.INVALID_JSON),
        (raw_record(None, reply_headers()), Code.INVALID_ENVELOPE),
        (command_record("Nonsense", {}, headers=reply_headers()), Code.UNKNOWN_COMMAND),
        (command_record("StartTaskExecution", {}, headers=reply_headers()), Code.INVALID_COMMAND),
        (command_record("ExecuteTask", {}, headers=reply_headers()), Code.INVALID_COMMAND),
        (raw_record(b"x" * MAX_COMMAND_BYTES, reply_headers()), Code.PAYLOAD_TOO_LARGE),
    ],
)
def test_what_cannot_be_read_is_still_replied(record: Record, code: Code) -> None:
    found = unreadable(record)
    assert (found.problem.code, found.record, found.rest) == (code, record, None)
    assert found.reply_to == ReplyAddress("task-execution.replies", b"re:1")


def test_of_an_unfit_execute_task_the_rest_is_kept() -> None:
    found = unreadable(command_record("ExecuteTask", {**TASK, "colour": "red"}))
    assert found.problem.code == Code.INVALID_COMMAND
    assert found.rest == ExecuteTask.model_validate(TASK)


# -- commands that name no identity


@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_an_execute_task_without_id_makes_an_execution_of_the_partition_that_it_is_on(partition: int) -> None:
    ids = set()
    for offset in range(5):
        record = command_record("ExecuteTask", TASK, id_=None, source=None, partition=partition, offset=offset)
        found = readable(record, partition)
        assert found.command_id == found.execution_id == readable(record, partition).execution_id
        assert partition_of(found.execution_id.encode(), PARTITIONS) == partition
        ids.add(found.execution_id)
    assert len(ids) == 5


def test_any_other_command_without_id_is_named_by_its_place_alone() -> None:
    record = command_record("StartTaskExecution", START, id_=None, source=None, partition=2, offset=7)
    found = [readable(record, partition) for partition in range(PARTITIONS)]
    assert {item.command_id for item in found} == {found[0].command_id}
    assert found[0].execution_id == EXECUTION


# -- commands that the service fails on


def broken(**more: Any) -> Record:
    return command_record("ExecuteTask", TASK, headers=reply_headers(), key=b"k", offset=3, **more)


def test_what_is_set_aside_is_replied_as_our_own_failure() -> None:
    found = set_aside(broken(), bare=False)
    assert (found.problem.code, found.record) == (Code.INTERNAL_ERROR, broken())
    assert found.reply_to == ReplyAddress("task-execution.replies", b"re:1")


def test_what_is_set_aside_bare_keeps_its_value_and_place_only() -> None:
    found = set_aside(broken(), bare=True)
    assert found.record == replace(broken(), key=None, headers=(), timestamp=0)
    assert found.reply_to is None


@pytest.mark.parametrize("headers", [[], reply_headers("nonsense")])
def test_what_is_set_aside_with_nobody_to_tell_is_not_replied(headers: list[tuple[str, bytes | None]]) -> None:
    assert set_aside(command_record("ExecuteTask", TASK, headers=headers), bare=False).reply_to is None
