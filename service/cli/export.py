"""`taskexec export`: all executions that fit, in a file, over HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from service.cli.exits import CommandError, Exit
from service.cli.files import replacing, stdout
from service.cli.formats import Format, writing
from service.cli.options import DEFAULT_URL, Url, examples
from service.cli.output import write_note
from service.cli.remote import Remote, path_of
from service.cli.request_options import accepting, parameters_of
from service.contracts.timestamps import Timestamp
from service.ports.moments import read_moment
from service.queries.flat import row_of
from service.queries.requests import MAX_PAGE_SIZE, ListTaskExecutions

_STDOUT: Final = "-"
_SUFFIXES: Final = {f".{format_}": format_ for format_ in Format} | {".ndjson": Format.JSONL}

Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - is stdout.")]
Wanted = Annotated[
    Format | None,
    typer.Option("--format", show_default=False, help="Default: what FILE ends with; csv on stdout."),
]


@accepting(ListTaskExecutions, without=("sort", "page_number", "page_size", "cursor", "counts"))
def export(*, output: Output = _STDOUT, format_: Wanted = None, url: Url = DEFAULT_URL, **given: object) -> None:
    """Write all executions that fit into a file: CSV, JSON lines, Parquet or Arrow. Filters combine.

    It has all that were created before it began, by the clock of this machine, and were known by then: each once,
    newest first, as it was when its page was read. What had not ended may have gone on since.
    """
    from service.cli.progress import steps  # noqa: PLC0415 - only what draws bars pays for it

    wanted = format_ or _format_of(output)
    filters = _fixed(parameters_of(ListTaskExecutions, given))
    done = 0
    with _opened(output, wanted) as file, writing(wanted, file) as write, steps() as tell:
        for items, total in pages(Remote(url), filters):
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


def _fixed(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters, so that they mean the same for every page, however long that takes."""
    fixed = {name: _moment(value) if name.endswith(("From", "To")) else value for name, value in filters.items()}
    return fixed | {"createdTo": fixed["createdTo"] or str(Timestamp.now(UTC))}


def _moment(given: Any) -> object:  # noqa: ANN401 - an option
    try:
        return given and str(read_moment(given))
    except ValueError:
        return given  # the service says what is wrong with it


def _format_of(output: str) -> Format:
    if output == _STDOUT:
        return Format.CSV
    if (found := _SUFFIXES.get(Path(output).suffix.lower())) is None:
        raise CommandError(
            Exit.USAGE, f"{output} does not say its format. Give --format, or a name with {', '.join(_SUFFIXES)}."
        )
    return found


def _opened(output: str, format_: Format) -> AbstractContextManager[BinaryIO]:
    return stdout(at_once=not format_.is_text) if output == _STDOUT else replacing(Path(output))


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = (
        "taskexec export --status FAILURE --created-from 7d -o failures.csv",
        "taskexec export --task-id sales:daily_report -o runs.parquet",
        "taskexec export --format jsonl | jq -r .errorMessage",
    )
    app.command(rich_help_panel="Look at executions", epilog=examples(*lines))(export)
