"""The bugs that `make planted` plants fit the code as it stands."""

import ast
from pathlib import Path

import pytest

import service
from tests.chaos.planted import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_can_be_planted(bug: Bug, tmp_path: Path) -> None:
    bug.plant(tmp_path)
    for edit in bug.edits:
        changed, original = (
            ast.dump(ast.parse((root / edit.file).read_text()))
            for root in (tmp_path / "service", Path(service.__file__).parent)
        )
        assert changed != original
