"""Files that are there whole, or not at all."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from service.cli.exits import CommandError, Exit


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes this name when all is written and this ends well; whoever is killed leaves nothing under it.

    Raises:
        CommandError: it cannot be written.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise CommandError(Exit.USAGE, f"{path} is not a file. Name a file, or - for stdout.")
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise CommandError(Exit.REFUSED, f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def stdout(*, at_once: bool) -> Iterator[BinaryIO]:
    """Standard output. `at_once`: it gets all when this ends well, for what cannot be read before it is whole.

    Raises:
        CommandError: that would go to a terminal.
    """
    if not at_once:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if sys.stdout.isatty():
        raise CommandError(Exit.USAGE, "This format is not for terminals. Name a file with --file, or use a pipe.")
    with TemporaryFile() as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
