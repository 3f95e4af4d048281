"""Finds by bisection the one record for which its batches fail, so that it can be set aside. Pure.

Nothing that one record does may stop its partition. What fails for a record fails again when the partition is opened
anew. So the batch is halved, down to the record; one that fails alone, `STRIKES` times, is set aside. What an outage of
Kafka causes is never held against a record.
"""

import asyncio
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    UnknownError,
)

from service.handling.queue import MAX_BATCH_RECORDS
from service.handling.reply_topics import ReplyStalledError
from service.handling.transaction import ReplyRefusedError
from service.kafka.internals.single_send import UnknownOutcomeError
from service.kafka.records import Record

STRIKES: Final = 3
"""How often a record must fail alone before it is set aside, and again before that is done in the barest form."""

_OF_THE_RECORD: Final = (InvalidTimestampError, MessageSizeTooLargeError, PolicyViolationError, UnknownError)
_OF_THE_WORLD: Final = (
    KafkaError, UnknownOutcomeError, ReplyRefusedError, ReplyStalledError, OSError, TimeoutError,
    asyncio.CancelledError,
)  # fmt: skip


class Verdict(IntEnum):
    """How a record is to be answered."""

    DECIDE = 0
    SET_ASIDE = 1
    """Refused, with its bytes and a reply, whatever it says."""
    SET_ASIDE_BARE = 2
    """The same without anything but its value: its headers, key or time may be what fails."""


class Bisection:
    """Of one partition: `limit` is how many records its next batch may hold.

    `searching`: the last batch failed by what a record says, as far as one can tell; waiting would not help.
    """

    def __init__(self) -> None:
        self.limit, self.searching = MAX_BATCH_RECORDS, False
        self._until = 0
        self._offset, self._strikes = -1, 0

    def failed(self, batch: Sequence[Record], error: BaseException) -> None:
        """The transaction of this batch failed. Smaller ones, also because a slow machine must get one through.

        A batch without records held timers only: the next one is of commands, so that they go on.
        """
        self.limit = max(1, len(batch) // 2)
        self.searching = isinstance(error, _OF_THE_RECORD) or not isinstance(error, _OF_THE_WORLD)
        if not self.searching or not batch:
            return
        self._until = batch[-1].offset + 1
        if len(batch) == 1:
            offset = batch[0].offset
            self._strikes = self._strikes + 1 if offset == self._offset else 1
            self._offset = offset

    @property
    def is_on(self) -> bool:
        """Whether batches are kept small, to find the record or to get one through."""
        return self.limit < MAX_BATCH_RECORDS

    def committed(self, next_offset: int) -> None:
        """All before this offset is done."""
        if next_offset >= self._until:
            self.limit = MAX_BATCH_RECORDS

    def verdict(self, record: Record) -> Verdict:
        """How to answer this record."""
        if record.offset != self._offset:
            return Verdict.DECIDE
        return Verdict(min(self._strikes // STRIKES, Verdict.SET_ASIDE_BARE))
