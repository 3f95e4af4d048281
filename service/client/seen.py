"""What a consumer has handled already, kept over restarts."""

import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self


class SeenEvents:
    """The ids of the newest `keep` events that were handled, in a SQLite file of one consumer's own.

    Kafka delivers at least once: ask `received.id in seen` before, and `add` it when the event has been handled. What
    comes again came within the last moments, unless the group was set back; 100,000 ids take about 16 MB.

    Raises:
        sqlite3.Error: on making it or of any use: the file can't be used.
    """

    def __init__(self, path: Path | str, *, keep: int = 100_000) -> None:
        self._keep = keep
        self._database = sqlite3.connect(path, isolation_level=None)
        # What a power cut may undo with these is heard of twice, as after a crash.
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
            "CREATE TABLE IF NOT EXISTS seen (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def __contains__(self, id_: str) -> bool:
        with closing(self._database.execute("SELECT 1 FROM seen WHERE id = ?", (id_,))) as rows:
            return rows.fetchone() is not None

    def __len__(self) -> int:
        with closing(self._database.execute("SELECT count(*) FROM seen")) as rows:
            return int(rows.fetchone()[0])

    def add(self, id_: str) -> None:
        """Remember it, and forget the oldest beyond `keep`."""
        self._database.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", (id_,))
        self._database.execute("DELETE FROM seen WHERE number <= (SELECT max(number) FROM seen) - ?", (self._keep,))
