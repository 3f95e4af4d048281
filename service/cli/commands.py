"""`taskexec execute|start|heartbeat|succeed|fail`: commands, sent over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.cli.asking import asking
from service.cli.completion import complete_task
from service.cli.ending import Wait, wait_for_end
from service.cli.exits import CommandError, Exit
from service.cli.ids import whole_id
from service.cli.options import CHANGING, Id, Key, examples
from service.cli.output import Output, write_note
from service.cli.remote import Remote, path_of
from service.cli.show import write_execution
from service.cli.values import read_dependencies, read_given

Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME=JSON", show_default=False, help="An input; what is not JSON is a text. Repeatable."
    ),
]
Inputs = Annotated[
    str | None,
    typer.Option(metavar="FILE", show_default=False, help="A JSON object of inputs; - is stdin. --input wins."),
]


@asking
def execute(  # noqa: PLR0913 - every argument is an option
    task_id: Annotated[
        str,
        typer.Argument(
            metavar="TASK_ID", help="namespace:name of the task.", show_default=False, autocompletion=complete_task
        ),
    ],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A published version.", show_default=False)],
    *,
    pairs: Pairs = None,
    inputs: Inputs = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", show_default=False, help="Repeatable.")] = None,
    created_by: Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="Who asks.")] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE=ID[:OUTPUT]",
            show_default=False,
            help="Start when that execution is SUCCESS, and its output true; skip if not. Repeatable.",
        ),
    ] = None,
    not_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default=False, help="Start no earlier: 2026-03-01T04:00:00Z."),
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(min=1, max=100, show_default="the definition's", help="If it fails, try again.")
    ] = None,
    retry_delay: Annotated[
        str | None, typer.Option(metavar="DURATION", show_default=False, help="Wait between attempts, such as PT10S.")
    ] = None,
    key: Key = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the service what it would make, or why not; nothing is done.")
    ] = False,
    wait: Wait = False,
    remote: Remote,
    out: Output,
) -> None:
    """Run one version of a task: makes a new execution."""
    if dry_run and wait:
        raise CommandError(Exit.USAGE, "--dry-run makes nothing that --wait could wait for. Leave one of them out.")
    if retry_delay is not None and max_attempts is None:
        raise CommandError(Exit.USAGE, "--retry-delay needs --max-attempts: how often to try in all")
    retry = {"maxAttempts": max_attempts, **({"delay": retry_delay} if retry_delay else {})}
    body = {
        "taskId": task_id,
        "taskVersion": version,
        "inputs": read_given("input", inputs, pairs),
        "createdBy": created_by,
        "tags": tag or [],
        "dependsOn": read_dependencies("--depends-on", depends_on or []) or None,
        "notBefore": not_before,
        "retry": retry if max_attempts is not None else None,
    }
    if dry_run:
        write_execution(remote.rehearse(body, key).body, out)
        unless = "unless the key was used before" if key else "under another id"
        write_note(f"Nothing was done: the service would accept this, {unless}.")
        return
    answer = remote.post(path_of(), body, key)
    if wait:
        wait_for_end(remote, answer, out)
    else:
        write_execution(answer.body, out)


@asking
def start(
    id_: Id,
    *,
    spark_application_id: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False, help="Of PySpark tasks only.")
    ] = None,
    key: Key = None,
    remote: Remote,
    out: Output,
) -> None:
    """Report that an execution began to run."""
    _advance("start", id_, {"sparkApplicationId": spark_application_id}, key, remote, out)


@asking
def heartbeat(  # noqa: PLR0913 - every argument is an option
    id_: Id,
    *,
    owner: Annotated[
        str, typer.Option(metavar="NAME", show_default=False, help="Who runs it, as it said when it started.")
    ],
    progress: Annotated[
        float | None, typer.Option(min=0, max=1, show_default=False, help="How much is done, from 0 to 1.")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", show_default=False, help="What it does now.")] = None,
    key: Key = None,
    remote: Remote,
    out: Output,
) -> None:
    """Report that a running execution is still alive, and how far it is."""
    body = {"owner": owner, "progress": progress, "message": message}
    _advance("heartbeat", id_, body, key, remote, out)


@asking
def succeed(  # noqa: PLR0913 - every argument is an option
    id_: Id,
    *,
    pairs: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="NAME=JSON",
            show_default=False,
            help="An output; what is not JSON is a text. Repeatable.",
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(metavar="FILE", show_default=False, help="A JSON object of outputs; - is stdin. --output wins."),
    ] = None,
    key: Key = None,
    remote: Remote,
    out: Output,
) -> None:
    """Report that a running execution ended well."""
    _advance("succeed", id_, {"outputs": read_given("output", outputs, pairs)}, key, remote, out)


@asking
def fail(
    id_: Id,
    error_message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What went wrong.", show_default=False)],
    *,
    key: Key = None,
    remote: Remote,
    out: Output,
) -> None:
    """Report that a running execution ended badly."""
    _advance("fail", id_, {"errorMessage": error_message}, key, remote, out)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function, lines in (
        (execute, ("taskexec execute sales:daily_report 1.2.0 --input day=2026-03-01 --input top=10 --wait",
                   "taskexec execute sales:daily_report 1.2.0 --inputs inputs.json --tag nightly --dry-run")),
        (start, ("taskexec start 3f2a91c4",)),
        (heartbeat, ("taskexec heartbeat 3f2a91c4 --owner worker-7 --progress 0.5",)),
        (succeed, ("taskexec succeed 3f2a91c4 --output rows=1832",)),
        (fail, ("taskexec fail 3f2a91c4 'disk full on node 7'",)),
    ):  # fmt: skip
        app.command(rich_help_panel=CHANGING, epilog=examples(*lines))(function)


def _advance(  # noqa: PLR0913, PLR0917 - what a command has
    action: str, id_: str, body: Mapping[str, Any], key: str | None, remote: Remote, out: Output
) -> None:
    write_execution(remote.post(path_of(whole_id(remote, id_), action), body, key).body, out)
