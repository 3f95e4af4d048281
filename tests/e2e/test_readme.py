"""What the README says is so: its examples are run as a reader would run them, in order."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2
import pytest
import stamina
from pyarrow import parquet

from service.settings import Settings
from tests.e2e.process import clean_environment, up

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = [(kind, text) for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]
UP: Final = ".venv/bin/taskexec up"
DOCUMENTS: Final = ["README.md", "CONTRIBUTING.md", *(str(d.relative_to(ROOT)) for d in ROOT.glob("docs/**/*.md"))]


@pytest.mark.timeout(300)
def test_the_examples_work_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert ("sh", f"{UP}\n") in BLOCKS
    outputs = []
    with up(tmp_path / "data") as service:
        for program in programs():
            settle(service.url)
            ran = subprocess.run(
                program, cwd=tmp_path, env=service.environment, check=False, timeout=60, capture_output=True, text=True
            )
            assert ran.returncode == 0, f"{program[-1]}\n{ran.stdout}\n{ran.stderr}"
            outputs.append(ran.stdout)
    published, sent, advanced, consumed, asked, counted = outputs
    assert published == ""
    assert '"outcome": "accepted"' in sent
    assert '"id": "cb6139b1-6563-526b-96b0-0e9d64f64bed"' in sent
    assert '"top": 10' in sent
    assert '"status":"RUNNING"' in advanced
    assert "FAILURE" in advanced
    assert consumed == "sales:daily_report cb6139b1-6563-526b-96b0-0e9d64f64bed disk full on node 7\n"
    assert '"errorMessage":"disk full on node 7"' in asked
    assert '"total":1' in asked
    assert "TaskExecutionFailed" in asked
    assert "disk full on node <n>" in asked
    assert parquet.read_table(tmp_path / "runs.parquet")["errorMessage"].to_pylist() == ["disk full on node 7"]
    assert counted.startswith("1 of 1 failed, as of 2")


@pytest.mark.parametrize(("target", "recipe"), [("demo", ".venv/bin/taskexec demo"), ("test", "pytest")])
def test_the_two_commands_are_there(target: str, recipe: str) -> None:
    commands = [line.partition("#")[0].strip() for line in BLOCKS[1][1].splitlines()]
    assert commands == ["make demo", "make test"]
    dry = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=clean_environment(), check=True, capture_output=True, text=True
    )
    assert recipe in dry.stdout


def test_every_setting_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", README, re.MULTILINE)
    assert sorted(re.findall(r"[A-Z_]+", " ".join(rows))) == sorted(Settings.variables())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_the_documents_point_to_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    folder = (ROOT / document).parent
    missing = [link for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) if not (folder / link).exists()]
    named = re.findall(r"`((?:service|tests|docs|bench)/[A-Za-z0-9_./-]+)(?:::\w+)?`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing


def programs() -> Iterator[list[str]]:
    """The blocks that a reader runs after `taskexec up`, as command lines."""
    after_up = BLOCKS[BLOCKS.index(("sh", f"{UP}\n")) + 1 :]
    for kind, text in after_up:
        match kind:
            case "sh":
                yield ["bash", "-euo", "pipefail", "-c", text]
            case "python":
                yield [sys.executable, "-c", text]
            case _:
                raise AssertionError(f"a block that nobody runs: {kind}")


def settle(url: str) -> None:
    """Return when the read side has all that was published until now: a reader is slower than it."""
    began = datetime.now(UTC)
    for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=30, wait_max=0.2):
        with attempt:
            answer = httpx2.get(f"{url}/api/v1/task-execution-stats", trust_env=False).json()
            assert answer.get("lag") == 0  # absent until the projector has begun
            assert datetime.fromisoformat(answer["asOf"]) > began
