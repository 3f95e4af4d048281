"""Brings a store up to the end of its state topic. Snapshots go from one to the other as they are, undecoded."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Final

import structlog

from service.contracts.timestamps import Timestamp, epoch_ms
from service.domain.execution import Execution
from service.domain.timers import timers_of
from service.handling import metrics
from service.handling.json_snapshots import decode_json_snapshot, is_text_key
from service.handling.snapshots import (
    check_version,
    decode_snapshot,
    encode_snapshot,
    execution_id_of,
    has_terms,
    is_state_key,
    state_key,
)
from service.handling.state_store import Mark, StateRecord, StateStore
from service.handling.state_topic import StateTopic
from service.handling.timer_keys import timer_key
from service.kafka.records import Record, get_many

CHUNK: Final = 2_000
"""So many records at a time, some 10 ms: then everything else has its turn."""

OLD_PREFIX: Final = b"\2"
OLD_SIZE: Final = 37
"""Keys, in a store alone, of executions that the topic has under their text: they are still to be carried over."""

_POLL_MS: Final = 500
_BUSY_PAUSE: Final = 0.005
_TOLD_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Progress:
    """How far an opening has come, in offsets; `advanced` is to be called with each step."""

    def __init__(self, partition: int, advanced: Callable[[], None]) -> None:
        self._partition, self.advanced = partition, advanced
        self._begin = self._now = self._end = 0
        self._told = asyncio.get_running_loop().time()

    def begins(self, offset: int, end: int) -> None:
        """There is so much to do."""
        self._begin, self._now, self._end = offset, offset, end

    def reached(self, offset: int) -> None:
        """All before this offset is done."""
        if offset == self._now:
            return
        self._now = offset
        self.advanced()
        metrics.RESTORE_LEFT.labels(self._partition).set(max(self._end - offset, 0))
        now = asyncio.get_running_loop().time()
        if now - self._told > _TOLD_SECONDS:
            self._told = now
            log.info("partition_restoring", partition=self._partition, progress=str(self))

    def __str__(self) -> str:
        done, all_ = self._now - self._begin, self._end - self._begin
        return f"restored {done} of {all_} offsets" if done < all_ else ""


class StoreRecords:
    """What a store is given for what the topic holds. `kept` is how long finished executions are remembered."""

    def __init__(self, origin: str, kept: timedelta | None, clock: Callable[[], Timestamp]) -> None:
        self._origin, self._kept, self._clock = f"{origin}, kept {kept or 'for ever'}", kept, clock

    @property
    def origin(self) -> str:
        """Of the store: the state partition, and the rule that its timers were made by."""
        return self._origin

    def now(self) -> Timestamp:
        """The time of what is written now."""
        return self._clock()

    def mark(self, offset: int) -> Mark:
        """The mark of a store that has all before this offset."""
        return Mark(self._origin, offset, epoch_ms(self.now()))

    def of(self, records: Iterable[Record]) -> Iterator[StateRecord]:
        """The store's records for these of the topic, in their order.

        Raises:
            UnreadableSnapshotError: a later version wrote a state.
        """
        for record in records:
            key, value = record.key or b"", record.value
            if is_state_key(key):
                yield from self._snapshot(key, value)
            elif is_text_key(key):
                yield from self._old_snapshot(key, value)
            else:
                yield key, value

    def _snapshot(self, key: bytes, value: bytes | None) -> Iterator[StateRecord]:
        yield key, value
        if value is None:
            return
        check_version(value)
        if self._kept is None and not has_terms(value):
            return
        state = decode_snapshot(execution_id_of(key), value)
        for timer in timers_of(state, self._kept) if isinstance(state, Execution) else ():
            yield timer_key(timer), b""

    def _old_snapshot(self, key: bytes, value: bytes | None) -> Iterator[StateRecord]:
        today = state_key(key.decode())
        yield OLD_PREFIX + key, None if value is None else b""
        yield from self._snapshot(today, None if value is None else encode_snapshot(decode_json_snapshot(value)))


async def restore(topic: StateTopic, store: StateStore, records: StoreRecords, progress: Progress) -> None:
    """Read what the store lacks, up to the end. It may take long; a kill leaves what was done.

    Raises:
        UnreadableSnapshotError: a later version wrote a state.
        StoreError: the store cannot be written.
    """
    offset = max(store.offset, topic.begin)
    progress.begins(offset, topic.end)
    if offset >= topic.end:
        return  # without an assignment: to stop a consumer right after one takes aiokafka many seconds
    topic.reader.assign([topic.tp])
    topic.reader.seek(topic.tp, offset)
    while offset < topic.end:
        fetched = await get_many(topic.reader, _POLL_MS, CHUNK)
        # position(), not the last record's offset: a transaction's end marker stands behind its records.
        offset = await topic.reader.position(topic.tp)
        await until_ready(store)
        store.write(records.of(record for some in fetched.values() for record in some), records.mark(offset))
        progress.reached(offset)
        await asyncio.sleep(0)


async def until_ready(store: StateStore) -> None:
    """Wait until the disk can take more: RocksDB would make the whole process wait."""
    while store.is_busy:  # noqa: ASYNC110 - RocksDB tells nobody
        await asyncio.sleep(_BUSY_PAUSE)
