"""What a Python program uses: to run tasks and ask about them, publish definitions, consume events, open sealed values.

`service.client.faststream` has what a FastStream application needs.
"""

from service.client.commands import CommandClient
from service.client.definitions import PublishedAlreadyError, publish_definitions, read_versions
from service.client.errors import (
    ConflictError,
    InvalidRequestError,
    NotFinishedError,
    NotFoundError,
    ServiceUnavailableError,
)
from service.client.events import EventConsumer, UnreadableEventError
from service.client.executions import TaskExecutions
from service.client.replies import ClientClosedError
from service.client.seen import SeenEvents
from service.contracts.received import ReceivedEvent, received_event
from service.contracts.replies import CommandUnansweredError
from service.sealing import KeyRing, SealedValueError

__all__ = [
    "ClientClosedError",
    "CommandClient",
    "CommandUnansweredError",
    "ConflictError",
    "EventConsumer",
    "InvalidRequestError",
    "KeyRing",
    "NotFinishedError",
    "NotFoundError",
    "PublishedAlreadyError",
    "ReceivedEvent",
    "SealedValueError",
    "SeenEvents",
    "ServiceUnavailableError",
    "TaskExecutions",
    "UnreadableEventError",
    "publish_definitions",
    "read_versions",
    "received_event",
]
