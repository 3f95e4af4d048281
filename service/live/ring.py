"""The newest events, in the order in which this process read them. Bounded: all readers share it."""

from collections.abc import Mapping, Sequence
from typing import Final

from service.kafka.records import Record
from service.live.entries import Entry

MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 64 << 20
_LEFT_TO_DROP: Final = 1_000
"""So many dropped entries may still lie here: to take them out moves all others."""


class Ring:
    """Entries have numbers, counted up without gaps. `next_offsets` are those of all partitions after the newest."""

    def __init__(self, starts: Mapping[int, int], max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self.next_offsets = [starts[partition] for partition in sorted(starts)]
        self._complete_from = list(self.next_offsets)
        self._entries: list[Entry | None] = []
        self._number_of_first, self._dropped, self._bytes = 0, 0, 0

    @property
    def first(self) -> int:
        """The number of the oldest entry that is here."""
        return self._number_of_first + self._dropped

    @property
    def end(self) -> int:
        """The number that the next entry will have."""
        return self._number_of_first + len(self._entries)

    def add(self, record: Record) -> None:
        """Take in the newest; the oldest go, as far as there are too many."""
        self.next_offsets[record.partition] = record.offset + 1
        entry = Entry(record, tuple(self.next_offsets))
        self._entries.append(entry)
        self._bytes += entry.size
        while self.end - self.first > self._max_entries or (
            self._bytes > self._max_bytes and self.end - self.first > 1
        ):
            self._drop()

    def since(self, number: int, most: int) -> Sequence[Entry]:
        """The entries from this number on, at most so many; the number is not before `first`."""
        begin = number - self._number_of_first
        return [entry for entry in self._entries[begin : begin + most] if entry is not None]

    def covers(self, next_offsets: Sequence[int]) -> bool:
        """Whether all that comes after these offsets, as far as it was read, is here."""
        return all(mine <= wanted for mine, wanted in zip(self._complete_from, next_offsets, strict=True))

    def _drop(self) -> None:
        entry, self._entries[self._dropped] = self._entries[self._dropped], None
        assert entry is not None  # noqa: S101 - those before it were dropped
        self._dropped += 1
        self._bytes -= entry.size
        self._complete_from[entry.record.partition] = entry.record.offset + 1
        if self._dropped > _LEFT_TO_DROP:
            del self._entries[: self._dropped]
            self._number_of_first += self._dropped
            self._dropped = 0
