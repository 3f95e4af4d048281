"""The exit codes of the command line, and the errors that lead to them."""

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What the exit code tells a script."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3
    NOT_FOUND = 4
    NOT_SUCCESSFUL = 5


EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 refused, or failed; 2 wrong usage; 3 the service cannot be reached or is not available, "
    "try again later; 4 not found; 5 the awaited execution did not end in SUCCESS."
)


class CommandError(Exception):
    """The command cannot be carried out: `lines` say why and what to do, on stderr."""

    def __init__(self, exit_code: Exit, *lines: str) -> None:
        super().__init__(*lines)
        self.exit_code, self.lines = exit_code, lines
