"""For FastStream applications: what makes its messages events, and chooses among them by type."""

from collections.abc import Awaitable, Callable
from typing import Any

from faststream.kafka import KafkaMessage
from faststream.message import StreamMessage

from service.contracts.events import EVENT_TYPES, AnyEvent, UnknownEvent
from service.contracts.received import ReceivedEvent, received_event, type_of


async def decode_event(message: StreamMessage[Any]) -> ReceivedEvent:
    """The `decoder` of a subscriber, a router or a broker: handlers get a `ReceivedEvent`.

    Raises:
        ValueError: as of `received_event`.
    """
    record = message.raw_message
    return received_event(record.headers, record.value)


def of_type(*types: type[AnyEvent]) -> Callable[[KafkaMessage], Awaitable[bool]]:
    """A `filter` for these types; `UnknownEvent` means all later ones.

    Kafka's own order of things remains: what no handler of a subscriber takes is an error, so give it one without a
    filter, last, that takes the rest.
    """

    async def is_wanted(message: KafkaMessage) -> bool:
        record: Any = message.raw_message
        return EVENT_TYPES.get(type_of(record.headers, record.value), UnknownEvent) in types

    return is_wanted
