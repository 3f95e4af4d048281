"""What `play` refuses before it starts anything; what it plays: tests/demo/test_recorded_run.py."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app


def play(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["play", *arguments, "--exit"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tasks = [
        {"id": "split_ID1", "name": "split_ID1", "parents": [], "children": ["blast_ID2"]},
        {"id": "blast_ID2", "name": "blast_ID2", "parents": ["split_ID1"], "children": []},
    ]
    recording = {"name": "blast", "schemaVersion": "1.5", "workflow": {"specification": {"tasks": tasks}}}
    file = tmp_path / "blast.json"
    file.write_text(json.dumps(recording), encoding="utf-8")
    return file


def test_a_task_that_is_not_there_is_told_with_those_that_are_near(file: Path) -> None:
    result = play(str(file), "--fail", "split_ID1", "--fail", "blas_ID2")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--fail: The recording has no task 'blas_ID2'. Did you mean blast_ID2" in result.stderr


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x", "schemaVersion": "1.4", "workflow": {}}'])
def test_a_file_that_is_no_recording_is_told_with_all_flaws(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    result = play(str(file))

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{file} is not a recorded workflow in WfFormat 1.5:\n  #" in result.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = play(str(tmp_path / "none.json"))

    assert (result.exit_code, result.stdout) == (2, "")
    assert "none.json cannot be read: No such file or directory." in result.stderr


def test_no_time_runs_backwards(file: Path) -> None:
    assert play(str(file), "--speed", "-1").exit_code == 2
