"""The steps of a workload: what is sent, and how each must end."""

from dataclasses import dataclass

from service.contracts.commands import Command
from service.contracts.envelope import Headers
from service.contracts.problems import Code
from service.contracts.replies import Outcome


@dataclass(frozen=True, slots=True)
class Send:
    """A command under this CloudEvents id. `code` is the problem's, where it must be rejected."""

    command: Command
    id: str
    expected: Outcome = Outcome.ACCEPTED
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class SendRaw:
    """A record that is no command at all: it must be rejected, with this code."""

    value: bytes
    headers: Headers
    key: bytes
    code: Code
    expected: Outcome = Outcome.REJECTED


Step = Send | SendRaw
