"""A command as a Kafka record. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic_core import to_json

from service.contracts.commands import Command, ExecuteTask
from service.contracts.envelope import Headers, envelope_headers
from service.domain.identity import command_id


@dataclass(frozen=True, slots=True)
class Message:
    """What is written to the commands topic; `id` and `source`, where known, are what makes sending it again safe."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    id: str | None = None
    source: str | None = None


def execution_id(command: Command, id_: str, source: str) -> str:
    """The execution that the command is about; of an ExecuteTask, the one that it will make."""
    return command_id(source, id_) if isinstance(command, ExecuteTask) else command.execution_id


def command_body(command: Command, *, without: Collection[str] = ()) -> bytes:
    """The command as JSON, without these fields.

    A float that JSON has no number for (NaN, infinity) is written as such, for the service to refuse: as a null it
    would be carried out with a value that nobody sent.

    Raises:
        ValueError: inputs or outputs hold what cannot be written as JSON.
    """
    return to_json(command.model_dump(exclude_none=True, exclude={*without}), inf_nan_mode="constants")


def command_message(
    command: Command, *, id_: str, source: str, at: datetime, trace: Iterable[tuple[str, bytes]] = ()
) -> Message:
    """The command as a CloudEvent in binary mode, keyed by executionId, so that it lands at its owner.

    Raises:
        ValueError: as of `command_body`.
    """
    subject = execution_id(command, id_, source)
    headers = envelope_headers(type(command).__name__, id_, subject, at, source=source, trace=trace)
    return Message(subject.encode(), command_body(command), headers, id_, source)
