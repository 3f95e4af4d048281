"""What happens, told while it happens."""

from collections.abc import AsyncGenerator
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from service.contracts.events import EVENT_TYPES
from service.contracts.model import ExecutionId
from service.contracts.status import Status
from service.ports.filters import CreationFilters

EventType = Annotated[str, StringConstraints(pattern=f"^({'|'.join(EVENT_TYPES)})$")]


class FollowTaskExecutions(CreationFilters):
    """Which events are told. The filters are those of lists that an event can tell of; they combine."""

    status: tuple[Status, ...] = Field(
        default=(), description="Only events that led to this status; given several times, to any of them."
    )
    execution_id: tuple[ExecutionId, ...] = Field(
        default=(), max_length=100, description="Only events of this execution; given several times, of any of them."
    )
    type: tuple[EventType, ...] = Field(
        default=(), max_length=20, description="Only events of this type; given several times, of any of them."
    )
    payloads: bool = Field(default=False, description="With `resolvedInputs` and `outputs`, which can be large.")
    last_event_id: str | None = Field(
        default=None,
        description="Goes on after the message with this `id`, without gap or repeat; the header `Last-Event-ID`, "
        "which browsers send, comes before it. Without either, what happens from now on is told.",
    )


class LiveEvents(Protocol):
    """Tells of events as they come. Whoever implements it owns the connection."""

    @property
    def readers(self) -> int:
        """How many follow now."""
        ...

    async def follow(self, wanted: FollowTaskExecutions) -> AsyncGenerator[bytes, None]:
        """Pieces of a `text/event-stream`, without an end, but for a reader that is too slow, or when the process ends.

        Raises:
            RejectedError: invalid_request, `last_event_id` is none, or no longer one; unavailable, Kafka is away.
        """
        ...
