"""What the commands write: tables for people, the API's JSON for programs, errors on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES: Final = {
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "FAILURE": "bold red",
    "STOPPED": "magenta",
    "SKIPPED": "dim",
}
"""Of the statuses."""
_UNBOUNDED: Final = 10_000
"""Columns of what is not a terminal: nothing is cut off that another program may read."""


def write_json(value: object) -> None:
    """The value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; values that are None are left blank."""
    from rich.table import Table  # noqa: PLC0415 - only what draws tables pays for it

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def write_record(fields: Mapping[str, object]) -> None:
    """One record on stdout, a line per field; fields that are None are left out."""
    from rich.table import Table  # noqa: PLC0415 - only what draws tables pays for it

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(name, _cell(value))
    console().print(table)


def write_error(lines: Sequence[str]) -> None:
    """The first line says what is wrong, the others go into detail."""
    first, *others = (printable(line) for line in lines)
    sys.stderr.write("\n".join([f"Error: {first}", *(f"  {line}" for line in others)]) + "\n")


def write_note(text: str) -> None:
    """A remark on stderr, so that stdout holds data only."""
    sys.stderr.write(printable(text) + "\n")


def printable(text: str) -> str:
    """The text without what could drive the terminal: an error message is whatever somebody's program wrote."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def _cell(value: Any) -> "Text":  # noqa: ANN401 - JSON is any
    from rich.text import Text  # noqa: PLC0415 - only what draws tables pays for it

    if value is None:
        return Text("")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Text(printable(text), style=STYLES.get(text, ""))


def console() -> "Console":
    """What draws on stdout."""
    from rich.console import Console  # noqa: PLC0415 - only what draws tables pays for it

    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)
