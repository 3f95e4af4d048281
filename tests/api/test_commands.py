from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from service.api.principals import SOURCE
from service.contracts.commands import ExecuteTask, FailTaskExecution, StopTaskExecution
from service.contracts.problems import Code, problem
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from tests.api.scripted import ID, PENDING, ScriptedCommands, accepted

EXECUTIONS = "/api/v1/task-executions"
EXECUTE = {"taskId": "sales:daily_report", "taskVersion": "1.2.0", "inputs": {"day": "2026-03-01", "note": None}}


async def test_execute_makes_an_execution_and_says_where_it_is(http: AsyncClient, commands: ScriptedCommands) -> None:
    response = await http.post(EXECUTIONS, json=EXECUTE)

    assert response.status_code == 201
    assert response.headers["Location"] == f"{EXECUTIONS}/{ID}"
    assert response.headers["Task-Execution-Position"] == "3:1207"
    assert "Idempotent-Replayed" not in response.headers
    assert response.json() == PENDING  # nulls inside inputs are there, fields without a value are not
    (submitted,) = commands.submitted
    assert submitted.command == ExecuteTask.model_validate(EXECUTE)
    assert (submitted.source, UUID(submitted.id).version) == (SOURCE, 7)


async def test_every_request_without_a_key_is_a_command_of_its_own(
    http: AsyncClient, commands: ScriptedCommands
) -> None:
    await http.post(EXECUTIONS, json=EXECUTE)
    await http.post(EXECUTIONS, json=EXECUTE)

    assert len({submitted.id for submitted in commands.submitted}) == 2


async def test_a_repeated_key_is_answered_as_a_replay(http: AsyncClient, commands: ScriptedCommands) -> None:
    commands.answer = accepted(outcome=Outcome.DUPLICATE)

    response = await http.post(EXECUTIONS, json=EXECUTE, headers={"Idempotency-Key": "order-17"})

    assert (response.status_code, response.headers["Idempotent-Replayed"]) == (200, "true")
    assert response.headers["Location"] == f"{EXECUTIONS}/{ID}"
    assert response.json() == PENDING
    assert commands.submitted[0].id == "order-17"


@pytest.mark.parametrize("key", ["", "with space", "k" * 256, "umläut"])
async def test_a_key_that_cannot_be_one_is_refused(http: AsyncClient, key: str) -> None:
    response = await http.post(EXECUTIONS, json=EXECUTE, headers=[(b"Idempotency-Key", key.encode())])

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "#/header/Idempotency-Key"


async def test_two_keys_are_refused(http: AsyncClient, commands: ScriptedCommands) -> None:
    response = await http.post(EXECUTIONS, json=EXECUTE, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])

    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "#/header/Idempotency-Key", "detail": "given more than once"}]
    assert not commands.submitted


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("start", {"sparkApplicationId": "application_1"}),
        ("succeed", {"outputs": {"rows": 1}}),
        ("fail", {"errorMessage": "disk full"}),
        ("stop", {"reason": "superseded", "requestedBy": "ben"}),
        ("skip", {"reason": "upstream_failed", "node": "collect_data"}),
    ],
)
async def test_a_lifecycle_command_takes_its_execution_from_the_path(
    http: AsyncClient, commands: ScriptedCommands, action: str, body: dict[str, Any]
) -> None:
    response = await http.post(f"{EXECUTIONS}/{ID.upper()}/{action}", json=body)

    assert (response.status_code, response.headers["Task-Execution-Position"]) == (200, "3:1207")
    sent = commands.submitted[0].command.model_dump(mode="json", exclude_none=True)
    assert sent == {"executionId": ID, **body}


async def test_stop_needs_no_body(http: AsyncClient, commands: ScriptedCommands) -> None:
    response = await http.post(f"{EXECUTIONS}/{ID}/stop", headers={"Content-Type": "application/json"})

    assert response.status_code == 200
    assert commands.submitted[0].command == StopTaskExecution(execution_id=ID)


async def test_the_body_may_not_name_another_execution(http: AsyncClient, commands: ScriptedCommands) -> None:
    response = await http.post(f"{EXECUTIONS}/{ID}/fail", json={"executionId": ID, "errorMessage": "no"})

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"pointer": "#/executionId", "detail": "unknown here, for the path names it; allowed are: errorMessage, owner"}
    ]
    assert not commands.submitted


async def test_all_flaws_of_a_body_are_reported_at_once(http: AsyncClient) -> None:
    response = await http.post(EXECUTIONS, json={"taskId": "no namespace", "task_version": "1.0.0", "inputs": []})

    answer = response.json()
    assert (response.status_code, answer["code"]) == (422, "invalid_command")
    assert [error["pointer"] for error in answer["errors"]] == [
        "#/taskId", "#/taskVersion", "#/inputs", "#/task_version",
    ]  # fmt: skip
    assert answer["errors"][3]["detail"] == f"unknown; allowed are: {', '.join(ExecuteTask.wire_names())}"


async def test_too_many_tags_are_one_flaw(http: AsyncClient) -> None:
    response = await http.post(EXECUTIONS, json=EXECUTE | {"tags": [1] * 65})

    assert response.json()["errors"] == [{"pointer": "#/tags", "detail": "must have at most 64 items"}]


async def test_trace_headers_are_passed_on(http: AsyncClient, commands: ScriptedCommands) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}

    await http.post(EXECUTIONS, json=EXECUTE, headers=trace)

    assert commands.submitted[0].trace == tuple((name, value.encode()) for name, value in trace.items())


async def test_a_rejection_is_the_answer(http: AsyncClient, commands: ScriptedCommands) -> None:
    reason = problem(Code.INVALID_TRANSITION, "It is SUCCESS.", allowed_commands=())
    commands.answer = CommandReply(outcome=Outcome.REJECTED, problem=reason)

    response = await http.post(f"{EXECUTIONS}/{ID}/fail", json={"errorMessage": "no"})

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == reason.model_dump(mode="json", exclude_none=True)
    assert isinstance(commands.submitted[0].command, FailTaskExecution)


async def test_an_unanswered_command_says_how_to_repeat_it_safely(
    http: AsyncClient, commands: ScriptedCommands
) -> None:
    commands.answer = CommandUnansweredError("No reply came within 30 s", id_="order-17", source=SOURCE)

    response = await http.post(EXECUTIONS, json=EXECUTE, headers={"Idempotency-Key": "order-17"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["Idempotency-Key"] == "order-17"
    assert "Idempotency-Key: order-17" in response.json()["detail"]
    assert int(response.headers["Retry-After"]) > 0


async def test_a_reply_that_says_nothing_is_a_failure_of_the_service(
    http: AsyncClient, commands: ScriptedCommands
) -> None:
    commands.answer = CommandReply(outcome=Outcome.ACCEPTED)

    assert (await http.post(EXECUTIONS, json=EXECUTE)).status_code == 500


async def test_unknown_query_parameters_are_refused(http: AsyncClient, commands: ScriptedCommands) -> None:
    response = await http.post(f"{EXECUTIONS}?force=true", json=EXECUTE)

    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "#/query/force", "detail": "unknown; allowed are: dryRun"}]
    assert not commands.submitted
