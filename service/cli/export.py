"""`taskexec export`: all executions that fit, in a file, over HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from service.cli.asking import asking
from service.cli.exits import CommandError, Exit
from service.cli.files import replacing, stdout
from service.cli.formats import Format, writing
from service.cli.options import LOOKING, examples
from service.cli.output import write_note
from service.cli.remote import Remote, path_of
from service.cli.request_options import OF_A_PAGE, accepting, filters_of
from service.queries.flat import row_of
from service.queries.requests import MAX_PAGE_SIZE, ListTaskExecutions

_STDOUT: Final = "-"
_SUFFIXES: Final = {f".{format_}": format_ for format_ in Format} | {".ndjson": Format.JSONL}

File = Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="Where to; - is stdout.")]
Wanted = Annotated[
    Format | None,
    typer.Option("--format", "-o", show_default=False, help="Default: what FILE ends with; csv on stdout."),
]


@asking
@accepting(ListTaskExecutions, without=OF_A_PAGE)
def export(*, file: File = _STDOUT, format_: Wanted = None, remote: Remote, **given: object) -> None:
    """Write all executions that fit into a file: CSV, JSON lines, Parquet or Arrow. Filters combine.

    It has all that were created before it began, by the clock of this machine, and were known by then: each once,
    newest first, as it was when its page was read. What had not ended may have gone on since.
    """
    from service.cli.progress import steps  # noqa: PLC0415 - only what draws bars pays for it

    wanted = format_ or _format_of(file)
    filters = filters_of(given)
    done = 0
    with _opened(file, wanted) as opened, writing(wanted, opened) as write, steps() as tell:
        for items, total in pages(remote, filters):
            write([row_of(item) for item in items])
            done += len(items)
            tell("executions", done, max(total, done))
    write_note(f"{done} executions, created before {filters['createdTo']}")


def pages(remote: Remote, filters: Mapping[str, Any]) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """The executions of each page, whole, and how many fit."""
    size, cursor = MAX_PAGE_SIZE, None
    while True:
        page = remote.get(path_of(), {**filters, "pageSize": size, "cursor": cursor}).body
        whole = sum("resolvedInputs" in item for item in page["items"])
        if whole < len(page["items"]) and size > 1:  # their payloads are more than a page has: read fewer
            size = max(1, whole * 3 // 4)
            continue
        yield page["items"], page["total"]
        cursor = page.get("nextCursor")
        if cursor is None:
            return
        size = min(MAX_PAGE_SIZE, size + size // 10 + 1)


def _format_of(file: str) -> Format:
    if file == _STDOUT:
        return Format.CSV
    if (found := _SUFFIXES.get(Path(file).suffix.lower())) is None:
        raise CommandError(
            Exit.USAGE, f"{file} does not say its format. Give --format, or a name with {', '.join(_SUFFIXES)}."
        )
    return found


def _opened(file: str, format_: Format) -> AbstractContextManager[BinaryIO]:
    return stdout(at_once=not format_.is_text) if file == _STDOUT else replacing(Path(file))


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = (
        "taskexec export --status FAILURE --since 7d --file failures.csv",
        "taskexec export --task sales:daily_report --file runs.parquet",
        "taskexec export -o jsonl | jq -r .errorMessage",
    )
    app.command(rich_help_panel=LOOKING, epilog=examples(*lines))(export)
