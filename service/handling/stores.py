"""Opens the store of a partition, if it can be trusted; else makes it anew, and says why."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from rocksdict import Cache, Options, Rdict

from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import DAY_MS
from service.handling.rocksdb import CACHE_BYTES
from service.handling.state_store import FORMAT, DamagedStoreError, LockedStoreError, Mark, StateStore
from service.handling.state_topic import StateTopic

TOMBSTONES_KEPT_MS: Final = DAY_MS
"""What a compacted topic keeps of keys that were forgotten, at least: Kafka's default of `delete.retention.ms`."""

_LOCK_SECONDS: Final = 5.0
_LOCK_PAUSE: Final = 0.1
_ASIDE: Final = "taskexec-state-"

log = structlog.get_logger(__name__)


class StateStores:
    """The stores of a process; without a directory they are temporary, and every opening reads the whole topic."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._cache = Cache(CACHE_BYTES)
        _remove_left_behind()

    async def open(self, origin: str, topic: StateTopic, now: Timestamp) -> StateStore:
        """The store of this partition. Its mark says from where on the topic is still to be read.

        Raises:
            StoreError: the directory cannot be used.
        """
        partition = topic.tp.partition
        if self._directory is None:
            return await self.temporary()
        path = self._directory / str(partition)
        try:
            store = await self._patiently(path)
        except LockedStoreError as error:
            log.warning("state_store_in_use", partition=partition, error=str(error), instead="a temporary one")
            return await self.temporary()
        except DamagedStoreError as error:
            why: str | None = str(error)
        else:
            why = distrust(store.mark, origin, topic, now)
            if why is None:
                return store
            await asyncio.to_thread(store.close)
        log.warning("state_store_made_anew", partition=partition, path=str(path), why=why)
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        return await self._make(path)

    async def _patiently(self, path: Path) -> StateStore:
        """The owner before us may be closing it."""
        deadline = asyncio.get_running_loop().time() + _LOCK_SECONDS
        while True:
            try:
                return await self._make(path)
            except LockedStoreError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_LOCK_PAUSE)

    async def _make(self, path: Path) -> StateStore:
        return await asyncio.to_thread(StateStore, path, self._cache)

    async def temporary(self) -> StateStore:
        """A new one, which is gone when it is closed."""
        path = Path(tempfile.mkdtemp(prefix=_ASIDE))
        remove = partial(shutil.rmtree, path, ignore_errors=True)
        return await asyncio.to_thread(StateStore, path, self._cache, remove)


def _remove_left_behind() -> None:
    """Remove the temporary stores of processes that were killed; those that are in use are locked.

    One without tables is as young as it can be: whoever makes it has not locked it yet.
    """
    for mark in Path(tempfile.gettempdir()).glob(f"{_ASIDE}*/CURRENT"):
        with suppress(Exception):  # rocksdict has no errors of its own
            Rdict.destroy(str(mark.parent), Options(raw_mode=True))
            shutil.rmtree(mark.parent, ignore_errors=True)


def distrust(mark: Mark | None, origin: str, topic: StateTopic, now: Timestamp) -> str | None:
    """Why a store with this mark cannot be gone on with; None if it can. One without a mark is new."""
    if mark is None:
        return None
    if mark.format != FORMAT:
        return f"it has format {mark.format}, not {FORMAT}"
    if mark.origin != origin:
        return f"it is of {mark.origin}, not of {origin}"
    if not topic.begin <= mark.offset <= topic.end:
        return f"it is at offset {mark.offset}, but the topic has {topic.begin} to {topic.end}"
    if mark.offset < topic.end and epoch_ms(now) - mark.written_at > TOMBSTONES_KEPT_MS:
        return "it is so old that the topic may have dropped what was forgotten since"
    return None
