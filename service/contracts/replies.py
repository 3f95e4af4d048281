"""The answer to a command: accepted, a duplicate of one answered before, or rejected."""

from enum import StrEnum
from typing import Self

from service.contracts.executions import TaskExecution
from service.contracts.model import Contract
from service.contracts.problems import Problem


class Outcome(StrEnum):
    """How a command ended. `duplicate`: it says what is already so, nothing changed."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Position(Contract):
    """A place in the events topic; a query given it as `minPosition` waits until the read side has passed it."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """The text form `partition:offset` that queries take."""
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        partition, _, offset = text.partition(":")
        return cls(partition=int(partition), offset=int(offset))


class CommandReply(Contract):
    """`taskExecution` and `position` are there unless the command was rejected, `problem` is there if it was."""

    outcome: Outcome
    task_execution: TaskExecution | None = None
    position: Position | None = None
    problem: Problem | None = None


REPLY_TYPE = "TaskCommandReply"
"""The CloudEvents type of a reply."""


class CommandUnansweredError(Exception):
    """No reply came, so whether the command was carried out is unknown. The action it asks for: send it again.

    `id` and `source` are the CloudEvents attributes to repeat: the same ones make it safe. Both are None where the
    record was sent as it stood; over HTTP the source is the API's to choose, and the id the Idempotency-Key.
    """

    def __init__(self, why: str, *, id_: str | None = None, source: str | None = None) -> None:
        again = f" (id {id_}{f', source {source}' if source else ''})" if id_ else ""
        super().__init__(
            f"{why}. The command may still be carried out; send the same command with the same id again{again}."
        )
        self.id, self.source = id_, source
