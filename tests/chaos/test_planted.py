"""The bugs that `make planted` plants fit the code as it stands."""

import ast
from pathlib import Path

import pytest

import service
from tests.chaos.planted import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_can_be_planted(bug: Bug) -> None:
    text = (Path(service.__file__).parent / bug.file).read_text()
    assert ast.dump(ast.parse(bug.changed(text))) != ast.dump(ast.parse(text))
