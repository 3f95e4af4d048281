"""What a Python program uses to publish definitions, to send commands and to await their replies."""

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.client.replies import ClientClosedError

__all__ = ["ClientClosedError", "CommandClient", "publish_definitions"]
