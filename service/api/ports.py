"""What the API needs of the rest of the service. The composition root connects it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from service.contracts.commands import Command
from service.contracts.readiness import Readiness
from service.contracts.replies import CommandReply
from service.queries.answers import TaskExecutionAnswer, TaskExecutionHistory, TaskExecutionPage, TaskExecutionStats

Check = Callable[[], Awaitable[Readiness]]
"""Asks a part of the service what it has open; that it raises says that it is not ready. The API bounds its time."""


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


class Queries(Protocol):
    """Answers queries from the read side. Whoever implements it owns the connection and its time limits.

    With `min_position` (`partition:offset`), an answer includes the event at that place, or the query is refused.

    Raises:
        RejectedError: execution_not_found, invalid_request (a cursor that is none), projection_behind, unavailable.
    """

    async def get(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionAnswer:
        """The whole record of an execution."""
        ...

    async def history(self, execution_id: str, *, min_position: str | None = None) -> TaskExecutionHistory:
        """All events of an execution, in order."""
        ...

    async def list(  # noqa: PLR0913 - the filters of the specification
        self,
        *,
        task_id: str | None = None,
        status: str | None = None,
        created_by: str | None = None,
        tag: str | None = None,
        page_number: int | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
        min_position: str | None = None,
    ) -> TaskExecutionPage:
        """A page of executions, newest first."""
        ...

    async def stats(self, task_id: str | None = None, *, min_position: str | None = None) -> TaskExecutionStats:
        """Counts by status."""
        ...
