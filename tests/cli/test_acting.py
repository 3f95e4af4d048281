"""`taskexec stop|skip|rerun` of many: asked first, fixed, in a journal, and never twice, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from service.cli.main import app
from tests.api.scripted import ID
from tests.cli.standing_in import StandIn, id_of


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn().serving() as running:
        yield running


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journals" / "stop.jsonl"


def run(service: StandIn, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"TASKEXEC_URL": service.url})


def test_all_that_fit_are_acted_on_in_pieces_with_one_key(service: StandIn, journal: Path) -> None:
    service.matching = 1250
    filters = ("--task", "a:b", "--status", "running", "--status", "pending", "--tag", "x", "--since", "24h")

    result = run(service, "stop", *filters, "--reason", "why", "--yes", "--journal", str(journal))

    assert result.exit_code == 0, result.stderr
    assert [row.split() for row in result.stdout.splitlines()[1:]] == [
        ["accepted", "1250"], ["duplicate", "0"], ["rejected", "0"], ["unanswered", "0"],
    ]  # fmt: skip
    assert service.carried_out.keys() == {f"{key}/{id_of(n)}" for n in range(1250) for key in service.keys}
    assert (len(service.keys), service.chunks) == (1, 7)
    first, second = (one["filter"] for one in service.asked)
    assert first == second
    assert first | {"createdFrom": None, "createdTo": None} == {
        "taskId": "a:b", "status": ["RUNNING", "PENDING"], "tag": ["x"], "createdFrom": None, "createdTo": None,
    }  # fmt: skip
    assert first["createdFrom"] < first["createdTo"]
    assert f"taskexec stop --resume {journal}" in result.stderr


def test_who_is_killed_in_the_middle_goes_on_and_nothing_is_done_twice(service: StandIn, journal: Path) -> None:
    reached, go_on = Event(), Event()

    def hold(chunk: int) -> None:
        if chunk == 2:
            reached.set()
            assert go_on.wait(30)

    service.before_chunk = hold
    command = [sys.executable, "-m", "service", "stop", "--tag", "x", "--yes", "--journal", str(journal)]
    with subprocess.Popen(command, env=os.environ | {"TASKEXEC_URL": service.url}, stderr=subprocess.DEVNULL) as killed:
        assert reached.wait(60)
        killed.send_signal(signal.SIGKILL)
    with journal.open("ab") as file:
        file.write(b'{"executionId":"torn')
    go_on.set()

    result = run(service, "stop", "--resume", str(journal), "-o", "json")

    assert result.exit_code == 0, result.stderr
    assert set(service.carried_out.values()) == {1}
    assert len(service.carried_out) == service.matching
    report = json.loads(result.stdout)
    assert (report["accepted"], report["duplicate"]) == (250, 200)  # one piece was done, and its answer was lost
    assert service.chunks == 4
    again = run(service, "stop", "--resume", str(journal), "-o", "json")
    assert (json.loads(again.stdout), service.chunks) == (report, 4)


def test_an_outage_ends_it_and_says_how_to_go_on(service: StandIn, journal: Path) -> None:
    def fail(chunk: int) -> None:
        if chunk == 2:
            raise ConnectionError

    service.before_chunk = fail
    result = run(service, "stop", "--tag", "x", "--yes", "--journal", str(journal))

    assert result.exit_code == 3
    assert result.stderr.rstrip().endswith(f"Go on with: taskexec stop --resume {journal}")
    assert run(service, "stop", "--resume", str(journal)).exit_code == 0
    assert set(service.carried_out.values()) == {1}
    assert len(service.carried_out) == service.matching


def test_what_is_refused_or_not_known_is_told(service: StandIn, journal: Path) -> None:
    service.refused, service.unanswered = {id_of(3)}, {id_of(4), id_of(5)}
    result = run(service, "stop", "--tag", "x", "--yes", "--journal", str(journal), "-o", "csv")
    assert result.exit_code == 3
    assert "Of 2 it is not known" in result.stderr
    assert f"{id_of(3)},rejected,,,invalid_transition" in result.stdout.splitlines()

    service.unanswered = set()
    result = run(service, "stop", "--resume", str(journal))
    assert (result.exit_code, service.carried_out.total()) == (1, 449)
    assert "1 were refused" in result.stderr


def test_a_dry_run_only_shows(service: StandIn) -> None:
    result = run(service, "stop", "--tag", "x", "--dry-run")
    assert (result.exit_code, service.chunks) == (0, 0)
    assert len(result.stdout.splitlines()) == 11
    assert result.stderr == "and 440 more\n450 executions fit; nothing was sent.\n"
    assert json.loads(run(service, "rerun", "--tag", "x", "--dry-run", "--json").stdout)["matched"] == 450


def test_without_a_terminal_nobody_is_asked(service: StandIn, journal: Path) -> None:
    result = run(service, "stop", "--tag", "x", "--journal", str(journal))
    assert (result.exit_code, service.chunks, journal.exists()) == (2, 0, False)
    assert "450 executions fit. There is no terminal to ask: give --yes." in result.stderr


@pytest.mark.parametrize(("said", "chunks"), [("y\n", 3), ("n\n", 0)])
def test_on_a_terminal_who_asks_for_it_agrees(
    service: StandIn, journal: Path, monkeypatch: pytest.MonkeyPatch, said: str, chunks: int
) -> None:
    monkeypatch.setattr("service.cli.bulk._asks", lambda: True)
    env = {"TASKEXEC_URL": service.url}
    result = CliRunner().invoke(app, ["stop", "--tag", "x", "--journal", str(journal)], input=said, env=env)
    assert (result.exit_code == 0, service.chunks) == (bool(chunks), chunks)
    assert f"stop 450 executions at {service.url}?" in result.stderr
    assert id_of(9)[:8] in result.stdout


def test_nothing_that_fits_is_nothing_to_do(service: StandIn, journal: Path) -> None:
    service.matching = 0
    assert run(service, "skip", "--tag", "x", "--yes", "--journal", str(journal)).exit_code == 0
    assert not journal.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stop", "--yes"), "all executions there are"),
        (("stop", ID, "--tag", "x"), "An ID and filters"),
        (("skip", "--tag", "x", "--node", "a"), "name its ID"),
        (("skip", ID), "--reason and --node are needed"),
        (("rerun", "--tag", "x", "--input", "a=1"), "name its ID"),
        (("stop", "--resume", "/no/such/file"), "cannot be read"),
        (("stop", "--resume", "pyproject.toml"), "is no journal"),
    ],
)
def test_what_cannot_be_meant_is_refused(service: StandIn, arguments: tuple[str, ...], said: str) -> None:
    result = run(service, *arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert (service.chunks, service.asked) == (0, [])


def test_a_journal_is_of_one_action_and_of_its_executions(service: StandIn, journal: Path) -> None:
    run(service, "stop", "--tag", "x", "--yes", "--journal", str(journal))
    for arguments in (("skip", "--resume"), ("stop", "--tag", "y", "--resume")):
        assert run(service, *arguments, str(journal)).exit_code == 2
    assert run(service, "stop", "--tag", "x", "--yes", "--journal", str(journal)).exit_code == 2
    assert service.chunks == 3


def test_a_journal_has_one_writer_and_is_in_the_state_directory_unless_named(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    service.unanswered = {id_of(1)}
    assert run(service, "stop", "--tag", "x", "--yes", "--idempotency-key", "../k1").exit_code == 3
    journal = tmp_path / "task-execution-service" / "stop-..%2Fk1.jsonl"
    with FileLock(f"{journal}.lock"):
        result = run(service, "stop", "--resume", str(journal))
    assert (result.exit_code, "Another process works on" in result.stderr) == (1, True)
    assert service.chunks == 3


def test_one_is_run_again_with_other_inputs(service: StandIn) -> None:
    result = run(service, "rerun", ID, "--input", "top=20", "--version", "1.3.0", "--requested-by", "anna", "--json")
    assert result.exit_code == 0, result.stderr
    changed: list[dict[str, Any]] = [{"inputs": {"top": 20}, "taskVersion": "1.3.0", "createdBy": "anna"}]
    assert service.asked == changed
    assert json.loads(result.stdout)["attempt"] == 2
