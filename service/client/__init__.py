"""What a Python program uses to publish definitions, to send commands, await their replies, and open sealed values."""

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.client.replies import ClientClosedError
from service.sealing import KeyRing, SealedValueError

__all__ = ["ClientClosedError", "CommandClient", "KeyRing", "SealedValueError", "publish_definitions"]
