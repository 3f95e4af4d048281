"""A partition's remembered executions on this machine's disk: its compacted state topic, up to an offset, in RocksDB.

Only what is committed enters it, each time with the offset that it is then true for, in one write. It has no log of its
own: after a crash it is as it was a little earlier, and the topic's tail makes it whole. There is one column family,
for several could be torn apart.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from rocksdict import Cache, Rdict, WriteBatch, WriteOptions

from service.handling.rocksdb import options

FORMAT: Final = 1
"""Of what a store holds beside the topic's records. One of another format is made anew."""

MARK_KEY: Final = b"\0store"
MAX_UNSAVED: Final = 3
"""So many full buffers may wait for the disk; with more, RocksDB would make the whole process wait."""

StateRecord = tuple[bytes, bytes | None]
"""A key and a value of the state topic; no value forgets the key."""


class StoreError(OSError):
    """The store cannot be used: the disk is full, read-only or broken. Nothing is lost: the topic has everything."""


class LockedStoreError(StoreError):
    """Another process has it open."""


class DamagedStoreError(StoreError):
    """What it holds is not what was written. The action: throw it away, and read the topic."""


class Mark(Struct, frozen=True):
    """What a store says of itself: `origin` is what it is a copy of, `offset` up to where, `written_at` (ms) when."""

    origin: str
    offset: int
    written_at: int
    format: int = FORMAT


_marks: Final = msgspec.json.Decoder(Mark)


class StateStore:
    """An open store, of which RocksDB makes sure that nobody else has it open.

    `removed` is called after it is closed, if it is not to be kept. Every method may raise a StoreError.
    """

    def __init__(self, path: Path, cache: Cache, removed: Callable[[], None] | None = None) -> None:
        self.path, self._removed, self._is_damaged = path, removed, False
        self._unlogged = cast("Any", WriteOptions())  # its stub takes the setting for a method
        self._unlogged.disable_wal = True
        with self._errors():
            path.mkdir(parents=True, exist_ok=True)
            self._db: Any = Rdict(str(path), options(cache))  # the stub knows nothing of raw mode
        try:
            (mark,) = self.get([MARK_KEY])
        except StoreError:
            self.close()
            raise
        self.mark: Mark | None = _marks.decode(mark) if mark else None

    @property
    def offset(self) -> int:
        """All before it is here; 0 for a new store."""
        return self.mark.offset if self.mark else 0

    @property
    def count(self) -> int:
        """About how many records it holds."""
        return self._db.property_int_value("rocksdb.estimate-num-keys") or 0

    @property
    def is_busy(self) -> bool:
        """Whether the disk is behind: the next write might have to wait for it, and everything with it."""
        return (self._db.property_int_value("rocksdb.num-immutable-mem-table") or 0) >= MAX_UNSAVED

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of these keys, in their order."""
        with self._errors():
            values: list[bytes | None] = self._db.get(list(keys))
            return values

    def scan(self, prefix: bytes, size: int, most: int) -> list[tuple[bytes, bytes]]:
        """The first records, in order, whose key begins with this and has so many bytes."""
        with self._errors():
            items: Iterator[tuple[bytes, bytes]] = self._db.items(from_key=prefix)
            found = takewhile(lambda item: item[0].startswith(prefix), items)
            return list(islice((item for item in found if len(item[0]) == size), most))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All records, in order; to be read to the end before the store is closed."""
        with self._errors():
            yield from self._db.items()

    def write(self, records: Iterable[StateRecord], mark: Mark) -> None:
        """Take in records, with which the store is true for the mark's offset: all of it, or nothing."""
        batch = WriteBatch(raw_mode=True)
        for key, value in records:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(MARK_KEY, msgspec.json.encode(mark))
        with self._errors():
            self._db.write(batch, self._unlogged)
        self.mark = mark

    def close(self) -> None:
        """Write what is not on the disk yet, and give the store up."""
        try:
            with self._errors():
                self._db.close()
        finally:
            if self._is_damaged:
                shutil.rmtree(self.path, ignore_errors=True)
            if self._removed is not None:
                self._removed()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """RocksDB's errors tell their kind by their text."""
        try:
            yield
        except Exception as error:
            text = f"The state store {self.path} cannot be used: {error}"
            if "While lock file" in str(error) or "lock hold by" in str(error):
                raise LockedStoreError(text) from error
            if str(error).startswith(("Corruption", "Invalid argument")):
                self._is_damaged = True
                raise DamagedStoreError(text) from error
            raise StoreError(f"{text}. Free or mend the disk, or set TASKEXEC_STATE_DIR to another one.") from error
