"""The formats that `taskexec export` writes."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import BinaryIO

from service.cli.exits import CommandError, Exit
from service.queries.flat import COLUMNS, Row, Write, json_text


class Format(StrEnum):
    """What a file holds."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def is_text(self) -> bool:
        """Whether it can be shown, and read while it is written."""
        return self in {Format.CSV, Format.JSONL}


def writing(format_: Format, file: BinaryIO) -> AbstractContextManager[Write]:
    """What writes rows into the file, which is whole when this ends well.

    Raises:
        CommandError: the format needs pyarrow, which is not installed.
    """
    if as_text := {Format.CSV: _csv, Format.JSONL: _json_lines}.get(format_):
        return as_text(file)
    try:
        from service.cli import columnar  # noqa: PLC0415 - loads pyarrow, which is an extra
    except ModuleNotFoundError as error:
        raise CommandError(
            Exit.USAGE,
            f"The format {format_} needs {error.name}: pip install 'task-execution-service[export]'",
            "The formats csv and jsonl need nothing more.",
        ) from None
    return columnar.arrow(file) if format_ is Format.ARROW else columnar.parquet_groups(file)


@contextmanager
def _csv(file: BinaryIO) -> Iterator[Write]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)

    def write(page: Sequence[Row]) -> None:
        rows.writerows([json_text(value) if isinstance(value, list) else value for value in row] for row in page)
        text.flush()

    try:
        yield write
    finally:
        text.detach()  # the file is not ours to close


@contextmanager
def _json_lines(file: BinaryIO) -> Iterator[Write]:
    def write(page: Sequence[Row]) -> None:
        lines = (json_text(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in page)
        file.write("".join(lines).encode())

    yield write
