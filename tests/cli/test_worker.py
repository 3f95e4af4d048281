import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("no_such_module:worker", "There is no module 'no_such_module'."),
        ("service.no_such_module:worker", "There is no module 'service.no_such_module'."),
        (":worker", "There is no module ''."),
        ("service.worker:missing", "service.worker:missing is no Worker, but NoneType."),
        ("service.worker", "service.worker is no Worker, but NoneType."),
        ("service.worker:Worker", "service.worker:Worker is no Worker, but type."),
    ],
)
def test_what_is_no_worker_is_wrong_usage(where: str, said: str) -> None:
    result = CliRunner().invoke(app, ["worker", where])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "It must be MODULE:WORKER." in result.stderr or "must be MODULE:WORKER." in result.stderr


def test_a_url_that_is_none_is_wrong_usage() -> None:
    result = CliRunner().invoke(app, ["worker", "tests.worker.program:worker", "--url", "localhost:8080"])
    assert result.exit_code == 2
    assert "localhost:8080 is not the address of a service: it looks like http://127.0.0.1:8080" in result.stderr


def test_what_a_program_lacks_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking_program.py").write_text("import no_such_library\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["worker", "lacking_program:worker"])
    assert isinstance(result.exception, ModuleNotFoundError)
    assert result.exception.name == "no_such_library"


PROGRAM = """
from service.worker import Worker

class Asking(Worker):
    def run(self) -> None:
        raise ValueError(f"asks {self.address}.")

named, unnamed = Asking("http://own"), Asking()
"""


@pytest.mark.parametrize(
    ("worker", "given", "asked"),
    [
        ("named", (), "http://own"),
        ("unnamed", (), "http://current"),
        ("named", ("--context", "other"), "http://other"),
        ("named", ("--context", "other", "--url", "http://given"), "http://given"),
    ],
)
def test_a_worker_asks_who_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str, given: tuple[str, ...], asked: str
) -> None:
    monkeypatch.delitem(sys.modules, "asking_program", raising=False)
    (tmp_path / "asking_program.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKEXEC_CONFIG", str(tmp_path / "config.toml"))
    for name in ("current", "other"):
        CliRunner().invoke(app, ["context", "set", name, "--url", f"http://{name}"])
    result = CliRunner().invoke(app, ["worker", f"asking_program:{worker}", *given])
    assert result.exit_code == 2
    assert f"asks {asked}." in result.stderr
