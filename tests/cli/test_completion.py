"""What a shell offers: asked of the service, for a moment only."""

import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import completion
from service.cli.main import app
from tests.api.scripted import ID
from tests.cli.conftest import Service


def offered(words: str, **environment: str) -> list[str]:
    """As bash asks."""
    asking = {"_TASKEXEC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    return CliRunner().invoke(app, [], env=asking | environment, prog_name="taskexec").stdout.split()


def test_ids_tasks_statuses_and_contexts_are_offered(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_PATIENCE", 60.0)
    service.queries.statistics = {"groups": [
        {"key": key, "total": 1, "pending": 1, "running": 0, "success": 0, "failure": 0, "stopped": 0, "skipped": 0}
        for key in ("sales:daily_report", "sales:weekly_report", "ml:train")
    ]}  # fmt: skip
    url = {"TASKEXEC_URL": service.url}
    assert ID in offered(f"taskexec get {ID[:4]}", **url)
    assert offered("taskexec get ffff", **url) == []
    assert offered("taskexec list --task sales", **url) == ["sales:daily_report", "sales:weekly_report"]
    assert offered("taskexec list --status fa", **url) == ["FAILURE"]
    (tmp_path / "config.toml").write_text("[contexts.production]\n[contexts.staging]")
    assert offered("taskexec list --context st", TASKEXEC_CONFIG=str(tmp_path / "config.toml")) == ["staging"]


@pytest.mark.parametrize("words", ["taskexec get 0", "taskexec list --task s"])
def test_a_service_that_does_not_answer_is_not_waited_for(words: str) -> None:
    assert offered(words, TASKEXEC_URL="http://127.0.0.1:9") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert offered(words, TASKEXEC_URL=f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert time.monotonic() - began < 30


def test_there_is_a_script_for_each_shell() -> None:
    assert "_TASKEXEC_COMPLETE=complete_bash" in offered_script("bash")
    assert "#compdef taskexec" in offered_script("zsh")


def offered_script(shell: str) -> str:
    return CliRunner().invoke(app, [], env={"_TASKEXEC_COMPLETE": f"source_{shell}"}, prog_name="taskexec").stdout
