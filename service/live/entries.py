"""An event of the topic as readers are told of it. Pure; what nobody asks for is not made."""

from functools import cached_property
from typing import Final

import msgspec
from msgspec import Raw, Struct

from service.contracts.codec import decode, encode
from service.contracts.events import PAYLOADS
from service.contracts.received import type_of
from service.kafka.records import Record
from service.live.places import write_id

_NOT_TOLD: Final = frozenset({"commandId", "commandHash"})
"""What only the write side needs; histories have it not, either."""

_LINE_ENDS: Final = (b"\n", b"\r")


class Head(Struct, rename="camel", gc=False):
    """What all events share, as far as readers may choose by it. Times are as they were written."""

    execution_id: str
    sequence: int
    status: str
    task_id: str
    task_version: str
    created_by: str
    created_at: str
    tags: tuple[str, ...] = ()
    started_at: str | None = None
    completed_at: str | None = None
    occurred_at: str | None = None

    @property
    def time(self) -> str:
        """When it happened; the first version of events said it by other names."""
        return self.occurred_at or self.completed_at or self.started_at or self.created_at


_head: Final = msgspec.json.Decoder(Head)
_body: Final = msgspec.json.Decoder(dict[str, Raw])


class Entry:
    """A record of the events topic; `reached` are the next offsets of all partitions after it."""

    def __init__(self, record: Record, reached: tuple[int, ...] = ()) -> None:
        self.record, self.reached = record, reached

    @property
    def size(self) -> int:
        """About what it takes in memory, in bytes."""
        return 1_000 + 3 * len(self.record.value or b"")

    @cached_property
    def id(self) -> bytes:
        """The `id` of the message for who reads in step."""
        return write_id(self.reached)

    @cached_property
    def type(self) -> str:
        """The CloudEvents type.

        Raises:
            ValueError: it has none.
        """
        return type_of(self.record.headers, self.record.value)

    @cached_property
    def head(self) -> Head:
        """The small fields.

        Raises:
            ValueError: it cannot be read.
        """
        return _head.decode(self.record.value or b"")

    @cached_property
    def lean(self) -> bytes:
        """The message without payloads, from after its `id` on; errors as of `head`."""
        return self._message(frozenset({*_NOT_TOLD, *PAYLOADS}))

    @cached_property
    def whole(self) -> bytes:
        """The same with them."""
        return self._message(_NOT_TOLD)

    def _message(self, left_out: frozenset[str]) -> bytes:
        head, value = self.head, self.record.value or b""
        if any(end in value for end in _LINE_ENDS):
            value = encode(decode(value))
        told = {
            "type": self.type,
            "time": head.time,
            "executionId": head.execution_id,
            "sequence": head.sequence,
            "status": head.status,
            "position": f"{self.record.partition}:{self.record.offset}",
            "data": {name: body for name, body in _body.decode(value).items() if name not in left_out},
        }
        return b"\nevent: %b\ndata: %b\n\n" % (self.type.encode(), msgspec.json.encode(told))
