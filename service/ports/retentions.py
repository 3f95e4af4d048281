"""How long what is kept is kept."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retentions:
    """From the end of an execution, or from the refusal of a command; None: for ever.

    `payloads` are the inputs and outputs of executions: no longer than these. All roles must have the same.
    """

    executions: timedelta | None = None
    payloads: timedelta | None = None
    rejections: timedelta | None = None
