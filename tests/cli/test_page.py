"""docs/cli.md shows what the commands print."""

import shutil
from pathlib import Path

import pytest

from tests.cli.page import PAGE, alike, on_a_terminal, rewritten
from tests.e2e.process import up


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq")
def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    with up(tmp_path / "data") as service:
        printed = rewritten(text, on_a_terminal(service, tmp_path))
    assert alike(printed) == alike(text), "write it anew: make cli-page"
