"""Real workflows, recorded by the WfCommons project; they are beside the repository, not in it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from service.demo.recordings import Recording, read_recording

FILES: Final = sorted((Path(__file__).parents[2] / "shared/data/wfinstances").glob("*.json"))


def each_recording() -> pytest.MarkDecorator:
    """The test is run with each of them as `file`; where there are none, it is skipped."""
    none = pytest.param(None, marks=pytest.mark.skip(reason="no recordings in ../shared/data/wfinstances"))
    return pytest.mark.parametrize("file", FILES or [none], ids=lambda file: file.stem if file else "none")


def recorded(file: Path) -> Recording:
    return read_recording(file.read_bytes())


def tasks_in(file: Path) -> list[dict[str, Any]]:
    """The tasks as the file has them."""
    tasks: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["workflow"]["specification"]["tasks"]
    return tasks


def below(tasks: Sequence[dict[str, Any]], id_: str) -> set[str]:
    """The ids of all that come after this one, however far: a search along the edges that the file has."""
    children = {task["id"]: task["children"] for task in tasks}
    found: set[str] = set()
    left = [id_]
    while left:
        new = set(children[left.pop()]) - found
        found |= new
        left += new
    return found


def places(tasks: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The id of a task at the beginning, one in the middle and one at the end, of those with most below them."""

    def most(candidates: list[dict[str, Any]]) -> str:
        return str(max(candidates, key=lambda task: len(below(tasks, task["id"])))["id"])

    return {
        "root": most([task for task in tasks if not task["parents"]]),
        "middle": most([task for task in tasks if task["parents"] and task["children"]]),
        "leaf": most([task for task in tasks if not task["children"] and task["parents"]]),
    }
