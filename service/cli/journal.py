"""What was to be done to which executions, and what became of it, in a file: whoever is killed can go on from there."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from service.cli.exits import CommandError, Exit
from service.cli.files import replacing

_VERSION: Final = 1
_UNANSWERED: Final = "unanswered"


class Journal:
    """A line that says what is to be done (`head`), a line for each execution, then one for each outcome.

    It is there with all executions, or not at all. An outcome that was lost is asked for again: with the same key, it
    is the same command, which is carried out once.
    """

    def __init__(
        self, path: Path, head: Mapping[str, Any], ids: Sequence[str], items: Iterable[Mapping[str, Any]]
    ) -> None:
        self.path, self.head, self.ids = path, head, ids
        self.items = {item["executionId"]: item for item in items}

    @classmethod
    def create(cls, path: Path, head: Mapping[str, Any], ids: Sequence[str]) -> "Journal":
        """A new one.

        Raises:
            CommandError: there is a file already, or it cannot be written.
        """
        if path.exists():
            raise CommandError(Exit.USAGE, f"{path} is there already. Name another file, or go on with --resume.")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"journal": _VERSION, "count": len(ids), **head}
        with replacing(path) as file:
            file.writelines(_line(one) for one in [head, *({"id": id_} for id_ in ids)])
        return cls(path, head, ids, [])

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """One that was begun; of a line that was being written when its writer was killed, nothing is taken.

        Raises:
            CommandError: it cannot be read, or is none.
        """
        try:
            head, *others = map(json.loads, path.read_bytes().split(b"\n")[:-1])
            count = head["count"]
            ids, items = [one["id"] for one in others[:count]], others[count:]
            if head["journal"] == _VERSION and len(ids) == count:
                return cls(path, head, ids, items)
        except OSError as error:
            raise CommandError(Exit.USAGE, f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            pass
        raise CommandError(Exit.USAGE, f"{path} is no journal of `taskexec stop|skip|rerun`, or it was changed.")

    @property
    def left(self) -> list[str]:
        """The executions of which it is not known what became of them."""
        done = {id_ for id_, item in self.items.items() if item["outcome"] != _UNANSWERED}
        return [id_ for id_ in self.ids if id_ not in done]

    @contextmanager
    def writing(self) -> Iterator["Journal"]:
        """Only one process writes at a time.

        Raises:
            CommandError: another one does.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - seldom needed

        lock = FileLock(f"{self.path}.lock")
        try:
            with lock.acquire(timeout=0):
                self._drop_torn_end()
                yield self
        except Timeout:
            raise CommandError(Exit.REFUSED, f"Another process works on {self.path}.") from None

    def add(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Outcomes; they are on the disk when this returns."""
        with self.path.open("ab") as file:
            file.writelines(map(_line, items))
            file.flush()
            os.fsync(file.fileno())
        self.items |= {item["executionId"]: item for item in items}

    def _drop_torn_end(self) -> None:
        with self.path.open("r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)


def journal_path(action: str, key: str) -> Path:
    """Where the journal is if nobody says: in the user's directory for state."""
    from platformdirs import user_state_path  # noqa: PLC0415 - seldom needed

    return user_state_path("task-execution-service") / f"{action}-{quote(key, safe='')}.jsonl"


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
