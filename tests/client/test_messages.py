from datetime import UTC, datetime

import pytest

from service.client.messages import command_message, execution_id
from service.contracts.commands import ExecuteTask, FailTaskExecution
from service.domain.identity import command_id

AT = datetime(2026, 10, 1, 12, 30, 0, 123_000, tzinfo=UTC)
EXECUTION = "0b54e4ae-8f0c-5a4e-9d53-0a54f4c3a1f1"


def execute(**inputs: object) -> ExecuteTask:
    return ExecuteTask(task_id="a:b", task_version="1.0.0", inputs=inputs)


def test_an_execute_task_is_keyed_by_the_execution_it_will_make() -> None:
    message = command_message(execute(), id_="order-1", source="/shop", at=AT)
    assert message.key == command_id("/shop", "order-1").encode()
    assert execution_id(execute(), "order-1", "/shop") == command_id("/shop", "order-1")


def test_a_lifecycle_command_is_keyed_by_its_execution() -> None:
    command = FailTaskExecution(execution_id=EXECUTION.upper(), error_message="disk full")
    message = command_message(command, id_="1", source="/spark", at=AT, trace=[("traceparent", b"00-ab-cd-01")])
    assert message.key == EXECUTION.encode()
    assert message.value == b'{"executionId":"%s","errorMessage":"disk full"}' % EXECUTION.encode()
    assert dict(message.headers) == {
        "ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/spark", "ce_type": b"FailTaskExecution",
        "ce_subject": EXECUTION.encode(), "ce_time": b"2026-10-01T12:30:00.123Z", "content-type": b"application/json",
        "traceparent": b"00-ab-cd-01",
    }  # fmt: skip


def test_nulls_in_inputs_are_kept_and_absent_fields_left_out() -> None:
    message = command_message(execute(limit=None, nested={"x": None}), id_="1", source="/s", at=AT)
    assert (
        message.value == b'{"taskId":"a:b","taskVersion":"1.0.0","inputs":{"limit":null,"nested":{"x":null}},"tags":[]}'
    )


def test_not_a_number_is_not_quietly_sent_as_null() -> None:
    assert b'"x":NaN' in (command_message(execute(x=float("nan")), id_="1", source="/s", at=AT).value or b"")


def test_inputs_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="serialize unknown type"):
        command_message(execute(x=object()), id_="1", source="/s", at=AT)
