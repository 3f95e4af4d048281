"""The options that many commands share, and how help texts show examples."""

from typing import Annotated, Final

import typer

from service.cli.exits import EXIT_CODES

DEFAULT_URL: Final = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option("--url", envvar="TASKEXEC_URL", metavar="URL", help="Where the service is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's JSON answer instead of a table.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of the execution.", show_default=False)]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        show_default=False,
        help="Makes repeating safe: the same key is carried out once. Default: a new one.",
    ),
]


def examples(*lines: str) -> str:
    """The end of a command's help: examples, a line each, and the exit codes."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines), EXIT_CODES])
