"""`taskexec rejections list|show`: commands that were refused, over HTTP."""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from service.cli.asking import asking
from service.cli.cells import Id, Time
from service.cli.options import examples
from service.cli.output import Output, Table, write_note, write_record
from service.cli.remote import REJECTIONS, Remote
from service.cli.request_options import accepting, parameters_of
from service.cli.show import how_much, position_of
from service.queries.requests import ListTaskCommandRejections

app = typer.Typer(help="Commands that were refused.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Commands that were refused."""


@asking
@accepting(ListTaskCommandRejections)
def list_(*, remote: Remote, out: Output, **given: object) -> None:
    """List refused commands, newest first. Filters combine."""
    answer = remote.get(REJECTIONS, parameters_of(ListTaskCommandRejections, given)).body
    if out.write(answer, lambda: _table(answer["items"])):
        write_note(how_much(answer))


def _table(rejections: Iterable[Mapping[str, Any]]) -> Table:
    return Table(
        ("POSITION", "REJECTED", "CODE", "COMMAND", "FROM", "EXECUTION", "WHY"),
        (
            (
                position_of(one),
                Time(one["rejectedAt"]),
                one["problem"]["code"],
                one.get("commandType"),
                one.get("commandSource"),
                Id(one["executionId"]) if "executionId" in one else None,
                one["problem"]["detail"],
            )
            for one in rejections
        ),
    )


@asking
def show(
    position: Annotated[str, typer.Argument(metavar="POSITION", help="From the list: partition:offset.")],
    *,
    remote: Remote,
    out: Output,
) -> None:
    """Show a refused command: why, and the record as it came."""
    answer = remote.get(f"{REJECTIONS}/{position}").body
    out.write(answer, lambda: _table([answer]), lambda: _show(answer))


def _show(answer: Mapping[str, Any]) -> None:
    problem, record = answer["problem"], answer.get("record", {})
    write_record({
        "position": position_of(answer),
        "rejected": answer["rejectedAt"],
        "code": problem["code"],
        "why": problem["detail"],
        "errors": "\n".join(f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", ())) or None,
        "command": answer.get("commandType"),
        "from": answer.get("commandSource"),
        "execution": answer.get("executionId"),
        "topic": f"{record['topic']}/{record['partition']}/{record['offset']}" if record else None,
        "headers": "\n".join(f"{one['name']}: {_text(one['value'])}" for one in record.get("headers", ())) or None,
        "key": _text(record.get("key")),
        "value": _text(record.get("value")) or _text(record.get("valueHead")),
    })  # fmt: skip


def _text(base64: str | None) -> str | None:
    """The bytes as text; what is none is shown as escapes."""
    return None if base64 is None else b64decode(base64).decode(errors="backslashreplace")


for _name, _command, _lines in (
    ("list", list_, ("taskexec rejections list --code invalid_json --since 24h",)),
    (
        "show",
        show,
        ("taskexec rejections show 3:1207", "taskexec rejections show 3:1207 -o json | jq -r .record.value"),
    ),
):
    app.command(_name, epilog=examples(*_lines))(_command)
