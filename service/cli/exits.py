"""The exit codes of the command line, and the errors that lead to them."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final


class Exit(IntEnum):
    """What the exit code tells a script; the numbers never change."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3
    NOT_FOUND = 4
    NOT_SUCCESSFUL = 5


EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 refused, or failed; 2 wrong usage; 3 the service cannot be reached or is not available, or "
    "it took too long: try again later; 4 not found; 5 the awaited execution ended otherwise."
)


class CommandError(Exception):
    """The command cannot be carried out: `lines` say why and what to do; `problem`: as the service said it."""

    def __init__(self, exit_code: Exit, *lines: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(*lines)
        self.exit_code, self.lines, self.problem = exit_code, lines, problem
