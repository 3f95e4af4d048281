"""What a Python program uses: to send commands and publish definitions, to consume events, to open sealed values.

`service.client.faststream` has what a FastStream application needs.
"""

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.client.events import EventConsumer, UnreadableEventError
from service.client.replies import ClientClosedError
from service.client.seen import SeenEvents
from service.contracts.received import ReceivedEvent, received_event
from service.sealing import KeyRing, SealedValueError

__all__ = [
    "ClientClosedError",
    "CommandClient",
    "EventConsumer",
    "KeyRing",
    "ReceivedEvent",
    "SealedValueError",
    "SeenEvents",
    "UnreadableEventError",
    "publish_definitions",
    "received_event",
]
