"""Installations by name: what is kept of them, and which one a command asks."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.asking import _broker, address
from service.cli.main import app
from tests.cli.conftest import Service

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "configuration" / "config.toml"
    monkeypatch.setenv("TASKEXEC_CONFIG", str(file))
    for name in ("TASKEXEC_URL", "TASKEXEC_CONTEXT", "TASKEXEC_PREFIX", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_contexts_are_kept_changed_used_and_removed(config: Path) -> None:
    assert run("context", "set", "prod", "--url", "https://a.example").exit_code == 0
    assert run("context", "set", "test", "--url", "http://b.example", "--bootstrap-servers", "b:9092").exit_code == 0
    config.write_text(f"# ours\n{config.read_text()}")
    assert run("context", "set", "prod", "--prefix", "prod.").exit_code == 0
    assert run("context", "use", "test").exit_code == 0

    listed = json.loads(run("context", "list", "--json").stdout)

    assert listed == [
        {"name": "prod", "current": False, "url": "https://a.example", "prefix": "prod."},
        {"name": "test", "current": True, "url": "http://b.example", "bootstrap_servers": "b:9092"},
    ]
    assert config.read_text().startswith("# ours\n")
    assert [line.split()[0] for line in run("context", "list").stdout.splitlines()] == ["CURRENT", "prod", "*"]
    assert run("context", "delete", "test").exit_code == 0
    assert [one["current"] for one in json.loads(run("context", "list", "--json").stdout)] == [False]


def test_the_first_that_says_where_the_service_is_counts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(None, None) == "http://127.0.0.1:8080"
    run("context", "set", "one", "--url", "http://one")
    run("context", "set", "two", "--url", "http://two", "--bootstrap-servers", "two:9092", "--prefix", "two.")
    assert (address(None, None), address(None, "two"), address("http://url", "two")) == (
        "http://one", "http://two", "http://url",
    )  # fmt: skip
    assert (address(None, None, "http://own"), address("http://url", None, "http://own")) == (
        "http://own", "http://url",
    )  # fmt: skip
    assert (address(None, "two", "http://own"), address(None, None, None)) == ("http://two", "http://one")
    assert _broker(None, None) == {"kafka_bootstrap_servers": "127.0.0.1:9092"}
    assert _broker(None, "two") == {"kafka_bootstrap_servers": "two:9092", "prefix": "two."}
    monkeypatch.setenv("TASKEXEC_PREFIX", "mine.")
    assert _broker("k:1", "two") == {"kafka_bootstrap_servers": "k:1"}


def test_a_command_asks_the_context_that_is_named(service: Service, config: Path) -> None:
    run("context", "set", "here", "--url", service.url)
    run("context", "set", "elsewhere", "--url", "http://127.0.0.1:9")
    run("context", "use", "elsewhere")

    assert run("count", "--context", "here").stdout == "7\n"
    assert CliRunner().invoke(app, ["count"], env={"TASKEXEC_CONTEXT": "here"}).stdout == "7\n"
    both = service.run("count", "--context", "elsewhere")
    assert both.exit_code == 0
    assert both.stderr == f"TASKEXEC_URL comes before --context elsewhere: {service.url} is asked.\n"
    assert run("count").exit_code == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("current = 1", "current must be a name"),
        ("currrent = 'a'", "currrent: unknown; there are: current, contexts"),
        ("[contexts.a]\nurll = 'x'", "contexts.a: unknown: urll; there are: url,"),
        ("[contexts]\na = 1", "contexts.a: must be a table of texts"),
        ("[", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_told_of(config: Path, content: str, said: str) -> None:
    config.parent.mkdir()
    config.write_text(content)
    for command in (("count",), ("context", "set", "a", "--url", "http://a")):
        result = run(*command)
        assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert config.read_text() == content


@pytest.mark.parametrize(
    "arguments", [("use", "a"), ("delete", "a"), ("set", "a"), ("set", "a", "--url", "a.example"), ("set", "a/b")]
)
def test_what_cannot_be_meant_is_refused(config: Path, arguments: tuple[str, ...]) -> None:
    assert run("context", *arguments).exit_code == 2
    assert not config.exists()
    assert run("count", "--context", "a").exit_code == 2
