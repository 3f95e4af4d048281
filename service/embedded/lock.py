"""A lock on the broker's directory that is the broker's own: it ends when the JVM does, not when we do."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from service.embedded.errors import EmbeddedError

_PATIENCE_SECONDS: Final = 3
"""A broker whose parent was killed is dying itself."""


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[int]:
    """Hold the lock; yields a file descriptor: a child that inherits it holds the lock too, for as long as it lives.

    Kafka takes a lock of its own too late: by then a second one has written to the first one's metadata.

    Raises:
        EmbeddedError: another process still has the lock after a few seconds.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"Another Kafka uses {path.parent}: stop that one, or choose another directory with --data-dir."
                    ) from None
            await asyncio.sleep(0.05)
        yield file.fileno()
