"""What the README says is so: its examples are run as a reader would run them, in order."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from pyarrow import parquet

from service.settings import Settings
from tests.e2e.documents import ROOT, blocks, run
from tests.e2e.process import clean_environment, up

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = blocks("README.md")
UP: Final = ".venv/bin/taskexec up"
DOCUMENTS: Final = ["README.md", "CONTRIBUTING.md", *(str(d.relative_to(ROOT)) for d in ROOT.glob("docs/**/*.md"))]


def test_the_examples_work_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert ("sh", f"{UP}\n") in BLOCKS
    with up(tmp_path / "data") as service:
        outputs = [*run(BLOCKS[BLOCKS.index(("sh", f"{UP}\n")) + 1 :], service, tmp_path)]
    published, sent, advanced, consumed, asked, counted = outputs
    assert published == ""
    assert '"status": "PENDING"' in sent
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
    assert re.fullmatch(
        r"1 of 1 failed, as of 2.*Z\ncb6139b1-6563-526b-96b0-0e9d64f64bed disk full on node 7\n", counted
    )


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
