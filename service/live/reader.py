"""One who follows: where they are, and what they are told. No I/O."""

from collections.abc import Iterable
from typing import Final

from service.kafka.records import Record
from service.live.choosing import Wanted
from service.live.entries import Entry
from service.live.places import write_id

_MAX_PIECE: Final = 64 << 10
"""Of messages in one piece: so much may lie here for one who does not take it, and one message more."""


class Reader:
    """`next_offsets`: all before is told, or not wanted.

    Who goes on from an id may have seen partitions in another order than this process. Once they have seen the same,
    they read in step: then messages are the same for all readers, and are made once.
    """

    def __init__(self, next_offsets: Iterable[int], wanted: Wanted | None, *, payloads: bool) -> None:
        self.next_offsets, self._wanted, self._payloads = list(next_offsets), wanted, payloads
        self._in_step = False

    @property
    def place(self) -> bytes:
        """The `id` of where they are, without a message: who comes back goes on from there."""
        return b"id: %b\n\n" % write_id(self.next_offsets)

    def told(self, entries: Iterable[Entry]) -> tuple[bytes, int]:
        """What is told of these, and how many of them that are: a piece does not become too large."""
        parts: list[bytes] = []
        size = taken = 0
        for entry in entries:
            message = self._told(entry)
            taken += 1
            if message:
                parts += message
                size += len(message[1])
                if size > _MAX_PIECE:
                    break
        return b"".join(parts), taken

    def _told(self, entry: Entry) -> tuple[bytes, bytes] | None:
        record = entry.record
        if not self._in_step and record.offset < self.next_offsets[record.partition]:
            return None
        self.next_offsets[record.partition] = record.offset + 1
        if not self._in_step:
            self._in_step = tuple(self.next_offsets) == entry.reached
        try:
            if self._wanted is not None and not self._wanted(entry):
                return None
            message = entry.whole if self._payloads else entry.lean
        except ValueError:
            return b": passed over an event that cannot be read: %d:%d" % (record.partition, record.offset), b"\n\n"
        return b"id: %b" % (entry.id if self._in_step else write_id(self.next_offsets)), message

    def told_of(self, records: Iterable[Record]) -> Iterable[bytes]:
        """What is told of records that were read for this reader alone."""
        entries = [Entry(record) for record in records]
        while entries:
            piece, taken = self.told(entries)
            del entries[:taken]
            if piece:
                yield piece
