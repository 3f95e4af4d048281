"""How who reads the stream of events goes on over connections that break (HTML, 9.2). Pure."""

from typing import Final, Protocol

from service.kafka.murmur2 import partition_of

SILENCE_SECONDS: Final = 60.0
"""The service says every few seconds that it is there: a connection that is silent for so long is broken."""

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0


class Message(Protocol):
    """A message of the stream, as a parser of server-sent events gives it."""

    @property
    def id(self) -> str:
        """The last id that was told, in this message or before; empty if none was."""
        ...

    @property
    def retry(self) -> int | None:
        """How many milliseconds to wait before connecting again."""
        ...


class StreamPlace:
    """Where a reader is: `last_event_id`, and for how many seconds (`pause`) it waits before it connects again."""

    def __init__(self) -> None:
        self.last_event_id: str | None = None
        self.pause = _PAUSE

    @property
    def headers(self) -> dict[str, str]:
        """Those of the request that goes on from here."""
        resuming = {} if self.last_event_id is None else {"Last-Event-ID": self.last_event_id}
        return {"Accept": "text/event-stream", **resuming}

    def take(self, message: Message) -> None:
        """This message has been read, and whatever it tells was handled."""
        self.last_event_id = message.id or self.last_event_id
        if message.retry is not None:
            self.pause = min(message.retry / 1000, _LONGEST_PAUSE)


def untold_before(id_: str, execution_id: str) -> tuple[int, int] | None:
    """A partition and an offset: until there, a stream that begins at this id does not tell of the execution.

    None if it tells everything.
    """
    offsets = [int(pair.partition(":")[2]) for pair in id_.split(",")]
    partition = partition_of(execution_id.encode(), len(offsets))
    return (partition, offsets[partition] - 1) if offsets[partition] else None
