"""The options that many commands share, and how help texts show examples."""

from typing import Annotated, Final

import typer

from service.cli.completion import complete_id
from service.cli.exits import EXIT_CODES

LOOKING: Final = "Look at executions"
CHANGING: Final = "Change executions"

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id of the execution, or how it begins: 4 digits or more.",
        show_default=False,
        autocompletion=complete_id,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        show_default=False,
        help="Makes repeating safe: the same key is carried out once. Default: a new one.",
    ),
]
Position = Annotated[
    str | None,
    typer.Option(
        "--min-position",
        metavar="PARTITION:OFFSET",
        show_default=False,
        help="Wait until the answer includes this: the Task-Execution-Position of a command.",
    ),
]


def examples(*lines: str) -> str:
    """The end of a command's help: examples, a line each, and the exit codes."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines), EXIT_CODES])
