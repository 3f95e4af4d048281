"""What the client needs of a way to the service."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, Self

from service.contracts.commands import Command
from service.contracts.replies import CommandReply, Position
from service.contracts.timestamps import Timestamp
from service.queries.answers import RecordedEvent

Parameters = Mapping[str, str | Sequence[str]]
"""Those of a query, by their names in the API, as texts."""

Events = AsyncGenerator[RecordedEvent, None]
"""All events of an execution, from its first, without an end. One may come twice or too early: `sequence` tells."""


class Known(NamedTuple):
    """What a reply has told of an execution: a place at or after its last event, and when it was created."""

    position: Position
    created_at: Timestamp


class Transport(Protocol):
    """One way to the service. It owns its connections from entering to leaving it; a command is sent once in a call.

    Raises, in every call:
        ServiceUnavailableError: there is no answer, or one that says to come again.
        RejectedError: the answer is a problem; see `service.client.errors`.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def submit(self, command: Command, id_: str, trace: Mapping[str, str], seconds: float) -> CommandReply:
        """Send the command and wait for its reply, so many seconds; `id_` and the way are its identity.

        Raises:
            CommandUnansweredError: no reply came; the command may still be carried out.
        """
        ...

    async def ask(self, path: str, parameters: Parameters, seconds: float) -> bytes:
        """The JSON answer to a query of the API.

        Raises:
            ValueError: the address of the API is not known.
        """
        ...

    def events(self, execution_id: str, known: Known | None) -> Events:
        """What happens to the execution. An outage of a minute is waited out.

        Raises:
            ValueError: nothing is known of it, and nor is the address of the API, which could be asked.
        """
        ...

    def events_to_come(self, id_: str) -> AbstractAsyncContextManager[Callable[[str, Known, bool], Events]]:
        """For who follows the execution that an ExecuteTask with this id makes: enter it before that is sent.

        Gives what takes executionId, what the reply told, and whether it said `duplicate`, and gives its events.
        """
        ...
