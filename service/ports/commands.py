"""Where commands go."""

from collections.abc import Sequence
from typing import Protocol

from service.contracts.commands import Command
from service.contracts.envelope import Headers
from service.contracts.replies import CommandReply


class RawGateway(Protocol):
    """Hands records to the write side as they stand."""

    async def submit_raw(self, value: bytes | None, *, headers: Headers, key: bytes | None = None) -> CommandReply:
        """Send the record and wait for its reply. Errors as of `CommandGateway.submit`."""
        ...


class CommandGateway(Protocol):
    """Hands commands to the write side. Whoever implements it owns the connection and its time limits."""

    async def submit(
        self, command: Command, *, id_: str, source: str, trace: Sequence[tuple[str, bytes]] = ()
    ) -> CommandReply:
        """Send the command and wait for its reply; a refused command is a reply too.

        `id_` and `source` are its CloudEvents identity, `trace` the W3C trace headers to pass on.

        Raises:
            CommandUnansweredError: no reply came in time; the command may still be carried out.
            RejectedError: it could not be sent, and so will not be carried out.
        """
        ...


class Gateway(CommandGateway, RawGateway, Protocol):
    """Both."""
