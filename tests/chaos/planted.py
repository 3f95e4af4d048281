"""Bugs on purpose: each is planted in a copy of the service, whose chaos run must find it.

A run that finds nothing says something only if it would find what is there. The list is `planted.toml`.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import service

_SOURCE: Final = Path(service.__file__).parent


class Edit(Struct, frozen=True):
    """In a file of the service, `old` becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The file's text with the edit.

        Raises:
            ValueError: the place is not there, or not once: the code has changed, and the edit must too.
        """
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times:\n{self.old}")
        return text.replace(self.old, self.new)


class Bug(Struct, frozen=True):
    """Its edits, and before them those of the one that it is planted `upon`.

    The checker must call what comes of it by one of `told`, or find nothing if that is empty.
    """

    name: str
    told: tuple[str, ...]
    edits: tuple[Edit, ...]
    upon: str = ""

    def plant(self, directory: Path) -> None:
        """Make a copy of the service, with this bug, in the directory."""
        shutil.copytree(_SOURCE, directory / "service", ignore=shutil.ignore_patterns("__pycache__"))
        below = next(bug.edits for bug in BUGS if bug.name == self.upon) if self.upon else ()
        for edit in (*below, *self.edits):
            file = directory / "service" / edit.file
            file.write_text(edit.apply(file.read_text()))


class _File(Struct, forbid_unknown_fields=True):
    bug: tuple[Bug, ...]


BUGS: Final = msgspec.toml.decode(Path(__file__).with_suffix(".toml").read_bytes(), type=_File).bug
