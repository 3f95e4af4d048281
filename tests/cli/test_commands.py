import json
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from service.api.principals import SOURCE
from service.cli.acting import Reason
from service.contracts.commands import ExecuteTask, SkipCause
from service.contracts.problems import Code, FieldError, problem, reject
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.contracts.retries import RetryPolicy
from service.domain.identity import command_id
from tests.api.scripted import FAILURE, ID, PENDING
from tests.cli.conftest import Service

EXECUTE = ("execute", "sales:daily_report", "1.2.0")


def rejected(*errors: FieldError) -> CommandReply:
    return CommandReply(outcome=Outcome.REJECTED, problem=problem(Code.INVALID_INPUTS, "See errors.", errors))


def test_execute_sends_inputs_of_every_kind(service: Service, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.json"
    inputs.write_text('{"top": 1, "region": null}')

    result = service.run(
        *EXECUTE, "--inputs", str(inputs), "--input", "top=10", "--input", "day=2026-03-01", "--input", "a=b=c",
        "--input", 'quoted="10"', "--tag", "nightly", "--tag", "eu", "--created-by", "anna", "--idempotency-key", "k1",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    submitted = service.commands.submitted[0]
    assert submitted.id == "k1"
    assert submitted.command == ExecuteTask(
        task_id="sales:daily_report",
        task_version="1.2.0",
        inputs={"top": 10, "region": None, "day": "2026-03-01", "a": "b=c", "quoted": "10"},
        created_by="anna",
        tags=("nightly", "eu"),
    )
    assert ID in result.stdout
    assert "PENDING" in result.stdout


def test_inputs_can_come_from_stdin_and_answers_can_be_json(service: Service) -> None:
    result = service.run(*EXECUTE, "--inputs", "-", "--json", stdin='{"day": "2026-03-01"}')

    assert json.loads(result.stdout) == PENDING
    assert service.commands.submitted[0].command.inputs == {"day": "2026-03-01"}  # type: ignore[union-attr]  # it is an ExecuteTask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "day"), "must be NAME=VALUE"),
        (("--input", "day=1", "--input", "day=2"), "given twice"),
        (("--input", 'day={"from": 1'), "not strict JSON"),
        (("--inputs", "/no/such/file"), "cannot be read: No such file or directory"),
        (("--inputs", "-"), "must hold a JSON object"),
    ],
)
def test_wrong_inputs_are_refused_before_anything_is_sent(
    service: Service, arguments: tuple[str, ...], message: str
) -> None:
    result = service.run(*EXECUTE, *arguments, stdin="[]")

    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not service.commands.submitted


def test_a_refusal_shows_what_was_wrong_and_where(service: Service) -> None:
    service.commands.answer = rejected(FieldError(pointer="#/inputs/top", detail="must be a number"))

    result = service.run(*EXECUTE, "--input", "top=many")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "Error: The inputs do not fit the task definition (invalid_inputs)",
        "  See errors.",
        "  #/inputs/top: must be a number",
    ]


def test_an_unanswered_command_can_be_repeated_with_the_key_that_is_shown(service: Service) -> None:
    service.commands.answer = CommandUnansweredError("No reply", id_="k1", source="/api")

    result = service.run(*EXECUTE)

    assert result.exit_code == 3
    assert "Idempotency-Key: k1" in result.stderr
    assert result.stderr.endswith("--idempotency-key k1\n")


def test_wait_follows_the_execution_to_its_end(service: Service) -> None:
    success = FAILURE | {"status": "SUCCESS", "outputs": {"rows": 3}}
    del success["errorMessage"]
    service.queries.executions = [PENDING, PENDING | {"status": "RUNNING"}, success]

    result = service.run(*EXECUTE, "--wait", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "SUCCESS"
    assert {asked["min_position"] for asked in service.queries.asked} == {"3:1207"}


def test_wait_outlasts_a_read_side_that_is_away(service: Service) -> None:
    service.queries.outages = [reject(Code.UNAVAILABLE, "It restarts.")]
    service.queries.executions = [FAILURE]

    result = service.run(*EXECUTE, "--wait")

    assert (result.exit_code, service.queries.outages) == (5, [])


def test_wait_ends_where_there_is_nothing_to_wait_for(service: Service) -> None:
    service.queries.error = reject(Code.EXECUTION_NOT_FOUND, "It was never made.")

    assert service.run(*EXECUTE, "--wait").exit_code == 4


def test_wait_tells_by_its_exit_code_that_the_end_was_no_success(service: Service) -> None:
    service.queries.executions = [FAILURE]

    result = service.run(*EXECUTE, "--wait")

    assert result.exit_code == 5
    assert "disk full" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("start", ID, "--spark-application-id", "app_1"), {"sparkApplicationId": "app_1"}),
        (("start", ID), {}),
        (("succeed", ID, "--output", "rows=3"), {"outputs": {"rows": 3}}),
        (("succeed", ID), {"outputs": {}}),
        (("fail", ID, "disk full"), {"errorMessage": "disk full"}),
        (("stop", ID, "--reason", "why", "--requested-by", "ben"), {"reason": "why", "requestedBy": "ben"}),
        (("stop", ID), {}),
        (
            ("skip", ID, "--reason", "upstream_failed", "--node", "collect"),
            {"reason": "upstream_failed", "node": "collect"},
        ),
    ],
)
def test_lifecycle_commands_are_sent(service: Service, arguments: tuple[str, ...], body: dict[str, Any]) -> None:
    result = service.run(*arguments)

    assert result.exit_code == 0, result.stderr
    sent = service.commands.submitted[0].command.model_dump(mode="json", exclude_none=True)
    assert sent == {"executionId": ID} | body


def test_the_reasons_to_skip_are_those_of_the_contract() -> None:
    assert get_args(Reason) == tuple(SkipCause)


def test_execute_says_what_it_waits_for_and_how_often_it_is_tried(service: Service) -> None:
    result = service.run(
        *EXECUTE, "--depends-on", f"collect={ID}", "--depends-on", f"is_weekday={ID[:-1]}0:go",
        "--not-before", "2026-03-01T04:00:00Z", "--max-attempts", "3", "--retry-delay", "PT10S",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    command = service.commands.submitted[0].command
    assert isinstance(command, ExecuteTask)
    assert [(one.execution_id, one.node, one.condition) for one in command.depends_on or ()] == [
        (ID, "collect", None), (f"{ID[:-1]}0", "is_weekday", "go"),
    ]  # fmt: skip
    assert str(command.not_before) == "2026-03-01T04:00:00.000Z"
    assert command.retry == RetryPolicy(max_attempts=3, delay=timedelta(seconds=10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--depends-on", ID), "must be NODE=ID"), (("--retry-delay", "PT1S"), "needs --max-attempts")],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    service: Service, arguments: tuple[str, ...], message: str
) -> None:
    result = service.run(*EXECUTE, *arguments)
    assert (result.exit_code, service.commands.submitted) == (2, [])
    assert message in result.stderr


def test_a_dry_run_shows_what_would_be_made_and_does_nothing(service: Service) -> None:
    given = (*EXECUTE, "--input", "day=2026-03-01", "--tag", "x", "--idempotency-key", "k1", "--dry-run")
    shown = service.run(*given)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines()[-1].rstrip() == 'inputs   {"day": "2026-03-01", "top": 10}'
    assert shown.stderr == "Nothing was done: the service would accept this, unless the key was used before.\n"
    made = json.loads(service.run(*given, "--json").stdout)
    assert (made["id"], made["status"]) == (command_id(SOURCE, "k1"), "PENDING")
    assert made["metadata"]["tags"] == ["x"]
    assert service.run(*EXECUTE, "--input", "day=2026-03-01", "--dry-run").stderr.endswith("under another id.\n")
    assert not service.commands.submitted


@pytest.mark.parametrize(
    ("given", "code", "pointers"),
    [
        (("report", "latest", "--tag", "", "--not-before", "soon"), "invalid_command",
         ["#/taskId", "#/taskVersion", "#/tags/0", "#/notBefore"]),
        (("sales:daily_report", ">=1.2"), "invalid_command", ["#/taskVersion"]),
        (("sales:daily_report", "1.3.0"), "definition_not_found", ["#/taskId"]),
        (("sales:monthly", "1.2.0"), "definition_not_found", ["#/taskId"]),
        (("sales:daily_report", "1.2.0"), "invalid_inputs", ["#/inputs/day"]),
        (("sales:daily_report", "1.2.0", "--input", "day=May", "--input", "top=0", "--input", "x=1"), "invalid_inputs",
         ["#/inputs/day", "#/inputs/top", "#/inputs/x"]),
    ],
)  # fmt: skip
def test_a_dry_run_says_what_would_be_refused(
    service: Service, given: tuple[str, ...], code: str, pointers: list[str]
) -> None:
    result = service.run("execute", *given, "--dry-run", "-o", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    problem = json.loads(result.stderr)
    assert problem["code"] == code
    assert sorted(error["pointer"] for error in problem["errors"]) == sorted(pointers)
    assert not service.commands.submitted


def test_a_dry_run_tells_no_sensitive_value(service: Service) -> None:
    token = {"name": "token", "type": "string", "sensitive": True}
    service.definitions.publish({
        "taskId": "sales:secret", "version": "1.0.0", "status": "PUBLISHED", "type": "sql", "inputVariables": [token],
    })  # fmt: skip
    for value, code in (("hunter2", 0), ('["hunter2"]', 1)):
        result = service.run("execute", "sales:secret", "1.0.0", "--input", f"token={value}", "--dry-run")
        assert result.exit_code == code, result.stderr
        assert "hunter2" not in result.stdout + result.stderr
    assert '{"token": {"sealed": null}}' in service.run(
        "execute", "sales:secret", "1.0.0", "--input", "token=hunter2", "--dry-run"
    ).stdout  # fmt: skip


def test_a_dry_run_cannot_be_waited_for(service: Service) -> None:
    result = service.run(*EXECUTE, "--dry-run", "--wait")
    assert (result.exit_code, "Leave one of them out" in result.stderr) == (2, True)


def test_a_heartbeat_says_how_far_it_is(service: Service) -> None:
    result = service.run("heartbeat", ID, "--owner", "worker-7", "--progress", "0.5", "--message", "half")
    assert result.exit_code == 0, result.stderr
    sent = service.commands.submitted[0].command.model_dump(mode="json", exclude_none=True)
    assert sent == {"executionId": ID, "owner": "worker-7", "progress": 0.5, "message": "half"}
