"""`taskexec watch`: what happens, as it happens."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.cli.asking import asking
from service.cli.cells import ICONS, SHORT_ID, STYLES
from service.cli.completion import complete_id
from service.cli.ending import ENDS
from service.cli.exits import CommandError, Exit
from service.cli.ids import whole_id
from service.cli.options import LOOKING, examples
from service.cli.output import Format, Output, Table, console, printable, write_csv, write_line, write_yaml
from service.cli.remote import Remote, path_of
from service.cli.request_options import OF_A_PAGE, accepting, is_filtered, parameters_of
from service.cli.show import position_of, what_of
from service.queries.requests import ListTaskExecutions

if TYPE_CHECKING:
    from service.cli.live import Event

_COLUMNS: Final = ("TIME", "EXECUTION ID", "EVENT", "STATUS", "POSITION", "WHAT")
_UNTOLD: Final = (
    "started_from", "started_to", "completed_from", "completed_to", "min_duration", "text", "fingerprint",
)  # fmt: skip
"""Filters of lists that an event does not tell enough for."""


@asking
@accepting(ListTaskExecutions, without=(*OF_A_PAGE, *_UNTOLD))
def watch(
    id_: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="The id of the execution, or how it begins: all that has happened to it, until it has ended.",
            show_default=False,
            autocompletion=complete_id,
        ),
    ] = None,
    *,
    remote: Remote,
    out: Output,
    **given: object,
) -> None:
    """Print what happens, a line each: to one execution, or from now on to all that fit, until Ctrl-C.

    A connection that breaks is made again; nothing is left out or repeated. With an ID, exit code 5 if it did not
    end as SUCCESS.
    """
    from service.cli.live import Live  # noqa: PLC0415 - only what watches pays for it

    if id_ is None:
        parameters = {name: value for name, value in parameters_of(ListTaskExecutions, given).items() if value}
        deque(_written(Live(remote, parameters).events(), out), maxlen=0)
        return
    if is_filtered(given):
        raise CommandError(Exit.USAGE, "An ID and filters are given. Name one execution, or say which ones by filters.")
    whole = whole_id(remote, id_)
    live = Live(remote, {"executionId": whole}, lambda begun_at: _history(remote, whole, begun_at))
    for event in _written(live.events(), out):
        if event["status"] in ENDS:
            raise typer.Exit(Exit.OK if event["status"] == "SUCCESS" else Exit.NOT_SUCCESSFUL)


def _history(remote: Remote, id_: str, begun_at: str) -> "Iterator[Event]":
    """All events that a stream which begins at this id does not tell, and perhaps some that it does."""
    from service.kafka.streamed import untold_before  # noqa: PLC0415 - only what watches pays for it

    place = untold_before(begun_at, id_)
    parameters = {"minPosition": f"{place[0]}:{place[1]}"} if place else {}
    for item in remote.get(path_of(id_, "history"), parameters).body["items"]:
        yield {**item, "executionId": id_, "position": position_of(item)}


def _written(events: "Iterator[Event]", out: Output) -> "Iterator[Event]":
    """The events, each when it is printed."""
    write = _writer(out)
    for event in events:
        write(event)
        sys.stdout.flush()
        yield event


def _writer(out: Output) -> "Callable[[Event], None]":
    match out.format:
        case Format.JSON | Format.JSONL:
            return write_line
        case Format.YAML:
            return write_yaml
        case Format.CSV:
            write_csv(Table(_COLUMNS, []))
            return lambda event: write_csv(Table((), [_row(event)]))
        case Format.TABLE | Format.WIDE:
            screen, brief = console(), out.is_brief
            return lambda event: screen.print(
                _line(event, brief=brief), no_wrap=True, overflow="ellipsis" if brief else "ignore", soft_wrap=not brief
            )


def _row(event: "Event") -> tuple[Any, ...]:
    what = what_of(event["data"])
    return event["time"], event["executionId"], event["type"], event["status"], event["position"], what


def _line(event: "Event", *, brief: bool) -> Any:  # noqa: ANN401 - rich is loaded late
    from rich.text import Text  # noqa: PLC0415 - only what draws pays for it

    at, id_, type_, status, _, what = _row(event)
    word = f"{ICONS.get(status, '?')} {status:7}" if brief else f"{status:7}"
    named = " ".join(printable(one) for one in (event["data"].get("taskId"), what) if one)
    parts = (f"{at}  {id_[:SHORT_ID] if brief else id_}  ", (word, STYLES.get(status, "")), f"  {type_:22}  {named}")
    return Text.assemble(*parts)


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = (
        "taskexec watch 3f2a91c4",
        "taskexec watch --task sales:daily_report --status FAILURE",
        "taskexec watch --tag nightly -o jsonl | jq -r .data.errorMessage",
    )
    app.command(rich_help_panel=LOOKING, epilog=examples(*lines))(watch)
