"""The data directory of an embedded service: one owner at a time, writable, and with room left."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from service.embedded.errors import EmbeddedError

MIN_FREE_BYTES: Final = 200_000_000
_LOCK: Final = "lock"
CLICKHOUSE: Final = "clickhouse"
"""The directory in it where the engine keeps its own."""


@contextmanager
def data_directory(path: Path) -> Iterator[Path]:
    """Own the directory, created if it is missing, until the block ends; yields it as an absolute path.

    The kernel holds the lock: it ends with the process, however that ends.

    Raises:
        EmbeddedError: another process owns it, it is no directory, it can't be written to, or its disk is nearly full.
    """
    path = path.expanduser().absolute()
    lock = FileLock(path / _LOCK)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise EmbeddedError(
            f"The data directory {path} is in use by another process: stop that one, or choose another directory "
            "with --data-dir."
        ) from None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _check(path)
        yield path
    finally:
        lock.release()


def refuse_unused(path: Path) -> None:
    """For who only looks at what is there.

    Raises:
        EmbeddedError: no service has been run in this directory.
    """
    if not (path.expanduser() / CLICKHOUSE).is_dir():
        raise EmbeddedError(f"{path} has no data of `taskexec up`: give the directory that it was run with.")


def _check(path: Path) -> None:
    probe = path / "write-probe"
    try:
        free = shutil.disk_usage(path).free
        if free < MIN_FREE_BYTES:
            raise EmbeddedError(
                f"The disk of the data directory {path} has {free // 1_000_000} MB left, and at least "
                f"{MIN_FREE_BYTES // 1_000_000} MB are needed: free some, or choose another directory with --data-dir."
            )
        probe.write_bytes(b"?")
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _unusable(path: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(
        f"The data directory {path} can't be used ({error.strerror}): make it a directory that you may write to, or "
        "choose another one with --data-dir."
    )
