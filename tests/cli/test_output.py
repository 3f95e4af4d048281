"""Formats: documents and rows for programs; for people, tables that fit a terminal."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from service.cli.cells import age
from service.cli.main import app
from service.contracts.problems import Code, reject
from service.queries.flat import COLUMNS
from tests.api.scripted import FAILURE, FRESH, ID, PENDING
from tests.cli.conftest import Service


def test_one_answer_in_every_format(service: Service) -> None:
    page = json.loads(service.run("list", "-o", "json").stdout)
    assert [item["id"] for item in page["items"]] == [ID, ID]
    assert YAML(typ="safe").load(service.run("list", "-o", "yaml").stdout) == page
    rows = [json.loads(line) for line in service.run("list", "-o", "jsonl").stdout.splitlines()]
    assert [[*row] for row in rows] == [[*COLUMNS]] * 2
    assert [row["runMs"] for row in rows] == [2500, None]
    (header, failure, _) = csv.reader(io.StringIO(service.run("list", "-o", "csv").stdout))
    assert header == [*COLUMNS]
    assert failure[header.index("tags")] == '["nightly"]'
    wide = service.run("list", "-o", "WIDE").stdout
    assert "nightly" in wide
    assert FAILURE["completedAt"] in wide


def test_rows_of_other_answers_have_the_columns_of_their_tables(service: Service) -> None:
    (group,) = csv.DictReader(io.StringIO(service.run("failures", "-o", "csv").stdout))
    assert [*group] == ["count", "fingerprint", "tasks", "firstSeen", "lastSeen", "newest"]
    events = [json.loads(line) for line in service.run("history", ID, "-o", "jsonl").stdout.splitlines()]
    assert [event["event"] for event in events] == ["TaskExecutionCreated", "TaskExecutionStopped"]
    assert service.run("count", "-o", "csv").stdout == "total\n7\n"
    (edge, *_) = csv.DictReader(io.StringIO(service.run("graph", ID, "-o", "csv").stdout))
    assert edge["downstream"] == ID


def test_errors_are_problems_where_answers_are_json(service: Service) -> None:
    service.queries.error = reject(Code.EXECUTION_NOT_FOUND, "It was never made.")
    for asked in (("-o", "json"), ("--json",), ("-o", "jsonl")):
        result = service.run("get", ID, *asked)
        assert (result.exit_code, result.stdout) == (4, "")
        problem = json.loads(result.stderr)
        assert (problem["status"], problem["code"], problem["detail"]) == (
            404, "execution_not_found", "It was never made.",
        )  # fmt: skip


@pytest.mark.parametrize("format_", [("-o", "json"), ("-o", "JSONL"), ("-ojson",), ("--format=json",), ("--json",)])
@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("get", "xyz"), "'xyz' is not how an id begins."),
        (("get",), "Missing argument 'ID'."),
        (("list", "--status", "odd"), "Invalid value for '--status': 'odd' is not one of 'pending', 'running', "),
        (("list", "--page-size", "0"), "The request is not valid"),
        (("list", "--bogus"), "No such option: --bogus"),
        (("lst",), "No such command 'lst'. Did you mean 'list'?"),
        (("--bogus", "list"), "No such option: --bogus"),
        (("definitions", "lst"), "No such command 'lst'. Did you mean 'list'?"),
    ],
)
def test_so_is_wrong_usage(service: Service, arguments: tuple[str, ...], title: str, format_: tuple[str, ...]) -> None:
    result = service.run(*arguments, *format_)
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["title"].startswith(title)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("get",), "Error: Missing argument 'ID'.\n  See: taskexec get --help\n"),
        (("definitions", "lst"),
         "Error: No such command 'lst'. Did you mean 'list'?\n  See: taskexec definitions --help\n"),
        (("stop",), "Error: Neither an ID nor a filter is given: that would be all executions there are.\n"
                    "  Name one, or say which ones, such as --tag TAG; see: taskexec stop --help\n"),
        (("list", "--task", "report", "--tag", "", "--since", "soon"),
         "Error: The request is not valid (invalid_request)\n"
         "  --task: must be namespace:name, such as sales:daily_report: letters, digits, '_', '.' and '-'\n"
         "  --tag: must have at least 1 character\n"
         "  --since: must be a time such as 2026-03-02T04:00:00Z, or how long ago, such as 90m, 24h or 7d\n"),
    ],
)  # fmt: skip
def test_an_error_names_what_was_typed_what_is_allowed_and_what_to_do(
    service: Service, arguments: tuple[str, ...], told: str
) -> None:
    result = service.run(*arguments)
    assert (result.exit_code, result.stderr) == (2, told)


def test_in_a_pipe_no_line_ends_with_blanks(service: Service) -> None:
    for arguments in (("list",), ("get", ID), ("stats",), ("history", ID), ("failures",)):
        lines = service.run(*arguments).stdout.splitlines()
        assert lines
        assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("verb", ["list", "count", "stats", "failures", "export", "watch", "stop", "skip", "rerun"])
def test_every_verb_narrows_by_the_same_options(verb: str) -> None:
    """Whoever has learned one knows the others."""
    told = CliRunner().invoke(app, [verb, "--help"]).stdout
    for option in ("--task ", "--task-version ", "--created-by ", "--tag ", "--since ", "--until ", "--id "):
        assert option in told


def on_a_terminal(service: Service, width: int, *arguments: str, **environment: str) -> str:
    """What it writes to a terminal that is so wide."""
    ours, its = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "CI", "FORCE_COLOR"}}
    variables |= {"TASKEXEC_URL": service.url, "COLUMNS": str(width), "TERM": "xterm-256color"} | environment
    command = [sys.executable, "-m", "service", *arguments]
    done = subprocess.run(command, stdin=its, stdout=its, stderr=subprocess.PIPE, env=variables, check=True, timeout=60)
    assert b"Error" not in done.stderr
    os.close(its)
    text = b""
    while chunk := _read(ours):
        text += chunk
    os.close(ours)
    return text.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # its other end is closed
        return b""


def test_on_a_terminal_tables_fit_and_are_coloured(service: Service) -> None:
    plain = re.sub(r"\x1b\[[01]m|\r", "", on_a_terminal(service, 90, "list", NO_COLOR="1"))  # bold is no colour
    lines = plain.splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 90 for line in lines)
    assert lines[1].split()[:3] == [ID[:8], "✗", "FAILURE"]
    assert " ago" in lines[1]
    assert "\x1b" not in plain
    assert "\x1b[1;31m✗ FAILURE" in on_a_terminal(service, 200, "list")
    wide = on_a_terminal(service, 40, "list", "-o", "wide")
    assert ID in wide
    assert FAILURE["completedAt"] in wide


def test_elsewhere_nothing_is_cut_off_or_coloured(service: Service) -> None:
    shown = CliRunner().invoke(app, ["list"], env={"TASKEXEC_URL": service.url, "COLUMNS": "40"}).stdout
    assert ID in shown
    assert PENDING["metadata"]["createdAt"] in shown
    assert "\x1b" not in shown
    assert "✗" not in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s ago"),
        (59, "59s ago"),
        (60, "1m ago"),
        (3 * 3600 + 5, "3h ago"),
        (90 * 86_400, "90d ago"),
        (-7200, "in 2h"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert age((now - timedelta(seconds=seconds)).isoformat(), now) == text


@pytest.fixture
def several(service: Service, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a list answers, and what it was asked for."""
    told: dict[str, Any] = {"total": 1, "items": [FAILURE]}

    async def listed(request: Any) -> Any:
        from service.queries.answers import TaskExecutionPage  # noqa: PLC0415 - of this test only

        told["asked"] = request.id_prefix
        return TaskExecutionPage.model_validate(
            {"total": told["total"], "items": told["items"], "pageSize": 10} | FRESH
        )

    monkeypatch.setattr(service.queries, "list", listed)
    return told


def test_an_id_may_be_how_it_begins(service: Service, several: dict[str, Any]) -> None:
    for command in ("get", "history", "graph"):
        assert service.run(command, "0F2C").exit_code == 0
        assert several["asked"] == "0f2c"
    assert service.run("fail", ID[:13], "disk full").exit_code == 0
    assert service.commands.submitted[0].command.execution_id == ID  # type: ignore[union-attr]  # it is no ExecuteTask


def test_one_that_several_have_is_refused_and_says_which(service: Service, several: dict[str, Any]) -> None:
    several |= {"total": 12, "items": [FAILURE, PENDING]}
    result = service.run("stop", "0f2c")
    assert result.exit_code == 2
    assert "12 executions begin with 0f2c" in result.stderr
    assert f"{ID}  FAILURE  sales:daily_report" in result.stderr
    assert "and 10 more" in result.stderr
    assert not service.commands.submitted


@pytest.mark.parametrize("text", ["0f2", "0f2x", "", "0f2c1d9e7", "../stats", ID[:19]])
def test_what_no_id_begins_with_is_wrong_usage(service: Service, text: str) -> None:
    assert service.run("get", text).exit_code == 2
    assert not service.queries.asked


def test_one_that_none_has_is_not_found(service: Service, several: dict[str, Any]) -> None:
    several |= {"total": 0, "items": []}
    assert service.run("get", "0f2c").exit_code == 4
