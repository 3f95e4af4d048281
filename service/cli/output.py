"""What the commands write: tables for people, documents and rows for programs, errors and remarks on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from service.cli.cells import drawn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Drawn

_UNBOUNDED: Final = 10_000
"""Columns of what is not a terminal: nothing is cut off that another program may read."""


class Format(StrEnum):
    """What stdout gets."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    JSONL = "jsonl"

    @property
    def is_json(self) -> bool:
        """Whether who reads it parses JSON, and so wants errors in it, too."""
        return self in {Format.JSON, Format.JSONL}


class Table(NamedTuple):
    """Rows, and how their columns are headed."""

    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Output:
    """Writes answers in the format that was asked for."""

    format: Format = Format.TABLE

    @property
    def is_wide(self) -> bool:
        """Whether tables have all columns: those of `wide`, and all that are not for people."""
        return self.format is not Format.TABLE

    @property
    def is_brief(self) -> bool:
        """Whether lines are to fit a terminal."""
        return self.format is Format.TABLE and sys.stdout.isatty()

    def write(self, document: Any, rows: Callable[[], Table], show: Callable[[], None] | None = None) -> bool:  # noqa: ANN401 - JSON is any
        """The document as a whole, or its rows, or what `show` draws of it for people; whether it is for people."""
        match self.format:
            case Format.JSON:
                write_json(document)
            case Format.YAML:
                write_yaml(document)
            case Format.CSV:
                write_csv(rows())
            case Format.JSONL:
                write_lines(rows())
            case Format.TABLE | Format.WIDE:
                show() if show else self.table(rows())
                return True
        return False

    def table(self, table: Table) -> None:
        """A table for people; on a terminal, it fits in unless it is to be wide."""
        write_table(*table, brief=self.is_brief)


def write_json(value: object) -> None:
    """The value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_yaml(value: object) -> None:
    """The value as a YAML document on stdout."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only what writes YAML pays for it

    yaml = YAML()
    yaml.explicit_start = True
    yaml.allow_unicode = True
    yaml.width = _UNBOUNDED
    yaml.dump(value, sys.stdout)


def write_csv(table: Table) -> None:
    """The rows as CSV on stdout, below a header if there are columns; lists and objects as JSON."""
    import csv  # noqa: PLC0415 - only what writes CSV pays for it

    writer = csv.writer(sys.stdout, lineterminator="\n")
    if table.columns:
        writer.writerow(_names(table.columns))
    writer.writerows([_text(value) if isinstance(value, list | dict) else value for value in row] for row in table.rows)


def write_lines(table: Table) -> None:
    """The rows as JSON objects on stdout, a line each, as they come."""
    names = _names(table.columns)
    for row in table.rows:
        write_line(dict(zip(names, row, strict=True)))


def write_line(value: object) -> None:
    """The value as one line of JSON on stdout, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, brief: bool = False) -> None:
    """A table on stdout; values that are None are left blank. `brief`: in lines of the terminal's width."""
    from rich.table import Table as Drawn  # noqa: PLC0415 - only what draws tables pays for it

    table = Drawn(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(drawn(value, _cell(value), brief=brief) for value in row))
    _print(table, bounded=brief)


def write_record(fields: Mapping[str, object]) -> None:
    """One record on stdout, a line per field; fields that are None are left out."""
    from rich.table import Table as Drawn  # noqa: PLC0415 - only what draws tables pays for it

    table = Drawn(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(name, drawn(value, _cell(value), brief=False))
    _print(table)


def write_error(lines: Sequence[str], problem: Mapping[str, Any] | None = None, *, as_json: bool = False) -> None:
    """The first line says what is wrong, the others go into detail. As JSON: an RFC 9457 problem, on one line."""
    first, *others = (printable(line) for line in lines)
    if as_json:
        own = {"title": first} | ({"detail": "\n".join(others)} if others else {})
        sys.stderr.write(json.dumps(problem or own, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write("\n".join([f"Error: {first}", *(f"  {line}" for line in others)]) + "\n")


def write_note(text: str) -> None:
    """A remark on stderr, so that stdout holds data only."""
    sys.stderr.write(printable(text) + "\n")


def printable(text: str) -> str:
    """The text without what could drive the terminal: an error message is whatever somebody's program wrote."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def console(*, bounded: bool = True) -> "Console":
    """What draws on stdout, as wide as the terminal if `bounded`; in colours on terminals without NO_COLOR only."""
    from rich.console import Console  # noqa: PLC0415 - only what draws tables pays for it

    return Console(highlight=False, width=None if bounded and sys.stdout.isatty() else _UNBOUNDED)


def _print(table: "Drawn", *, bounded: bool = True) -> None:
    """On a terminal as it is drawn; elsewhere without the blanks that fill up its last column."""
    screen = console(bounded=bounded)
    if sys.stdout.isatty():
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _names(columns: Sequence[str]) -> list[str]:
    """As programs know them: `FIRST SEEN` is `firstSeen`; what is in small letters already stays."""
    return [column if not column.isupper() else _camel(column) for column in columns]


def _camel(head: str) -> str:
    first, *others = head.lower().replace("_", " ").split()
    return first + "".join(word.capitalize() for word in others)


def _cell(value: Any) -> str:  # noqa: ANN401 - JSON is any
    if value is None:
        return ""
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
