"""`taskexec execute|start|succeed|fail|stop|skip`: commands, sent over HTTP."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

import typer

from service.cli.exits import CommandError, Exit
from service.cli.options import DEFAULT_URL, AsJson, Id, Key, Url, examples
from service.cli.output import write_json, write_note
from service.cli.remote import Answer, Remote, path_of
from service.cli.show import show_execution
from service.cli.values import read_dependencies, read_object, read_pairs

Reason = Literal["upstream_failed", "upstream_stopped", "upstream_skipped", "condition_false"]

_FINAL: Final = ("SUCCESS", "FAILURE", "STOPPED", "SKIPPED")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0


def execute(  # noqa: PLR0913 - every argument is an option
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="namespace:name of the task.", show_default=False)],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A published version.", show_default=False)],
    *,
    pairs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="NAME=JSON", show_default=False, help="An input; what is not JSON is a text. Repeatable."
        ),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(metavar="FILE", show_default=False, help="A JSON object of inputs; - is stdin. --input wins."),
    ] = None,
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
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the execution has ended.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Run one version of a task: makes a new execution."""
    given = (read_object("--inputs", inputs) if inputs else {}) | read_pairs("--input", pairs or [])
    if retry_delay is not None and max_attempts is None:
        raise CommandError(Exit.USAGE, "--retry-delay needs --max-attempts: how often to try in all")
    retry = {"maxAttempts": max_attempts, **({"delay": retry_delay} if retry_delay else {})}
    body = {
        "taskId": task_id,
        "taskVersion": version,
        "inputs": given,
        "createdBy": created_by,
        "tags": tag or [],
        "dependsOn": read_dependencies("--depends-on", depends_on or []) or None,
        "notBefore": not_before,
        "retry": retry if max_attempts is not None else None,
    }
    remote = Remote(url)
    answer = remote.post(path_of(), body, key)
    if wait:
        execution = _ended(remote, answer)
        _show(execution, as_json=as_json)
        if execution["status"] != "SUCCESS":
            raise typer.Exit(Exit.NOT_SUCCESSFUL)
    else:
        _show(answer.body, as_json=as_json)


def start(
    execution_id: Id,
    *,
    spark_application_id: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False, help="Of PySpark tasks only.")
    ] = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Report that an execution began to run."""
    _show(
        _advance("start", execution_id, {"sparkApplicationId": spark_application_id}, key, Remote(url)), as_json=as_json
    )


def succeed(  # noqa: PLR0913 - every argument is an option
    execution_id: Id,
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
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Report that a running execution ended well."""
    given = (read_object("--outputs", outputs) if outputs else {}) | read_pairs("--output", pairs or [])
    _show(_advance("succeed", execution_id, {"outputs": given}, key, Remote(url)), as_json=as_json)


def fail(
    execution_id: Id,
    error_message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What went wrong.", show_default=False)],
    *,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Report that a running execution ended badly."""
    _show(_advance("fail", execution_id, {"errorMessage": error_message}, key, Remote(url)), as_json=as_json)


def stop(  # noqa: PLR0913 - every argument is an option
    execution_id: Id,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", show_default=False, help="Why.")] = None,
    requested_by: Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="Who asks.")] = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """End a pending or running execution early."""
    _show(
        _advance("stop", execution_id, {"reason": reason, "requestedBy": requested_by}, key, Remote(url)),
        as_json=as_json,
    )


def skip(  # noqa: PLR0913 - every argument is an option
    execution_id: Id,
    *,
    reason: Annotated[
        Reason, typer.Option(metavar="REASON", show_default=False, help=f"Why: {', '.join(get_args(Reason))}.")
    ],
    node: Annotated[str, typer.Option(metavar="NODE", show_default=False, help="The node that is the cause.")],
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say that a pending execution will never run."""
    _show(_advance("skip", execution_id, {"reason": reason, "node": node}, key, Remote(url)), as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = "Change executions"
    for function, lines in (
        (execute, ("taskexec execute sales:daily_report 1.2.0 --input day=2026-03-01 --input top=10 --wait",
                   "taskexec execute sales:daily_report 1.2.0 --inputs inputs.json --tag nightly --json")),
        (start, ("taskexec start 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11",)),
        (succeed, ("taskexec succeed 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11 --output rows=1832",)),
        (fail, ("taskexec fail 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11 'disk full on node 7'",)),
        (stop, ("taskexec stop 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11 --reason 'superseded by a newer run'",)),
        (skip, ("taskexec skip 0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11 --reason upstream_failed --node collect_data",)),
    ):  # fmt: skip
        app.command(rich_help_panel=group, epilog=examples(*lines))(function)


def _advance(action: str, id_: str, body: Mapping[str, object | None], key: str | None, remote: Remote) -> Any:  # noqa: ANN401 - JSON is any
    return remote.post(path_of(id_, action), body, key).body


def _show(execution: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(execution)
    else:
        show_execution(execution)


def _ended(remote: Remote, made: Answer) -> Any:  # noqa: ANN401 - JSON is any
    """Ask until the execution has ended; a service that is away for a while is waited for."""
    id_, pause = made.body["id"], _FIRST_PAUSE
    write_note(f"{id_} is made; waiting for its end.")
    while True:
        try:
            execution = remote.get(path_of(id_), {"minPosition": made.position}).body
            if execution["status"] in _FINAL:
                return execution
        except CommandError as error:
            if error.exit_code is not Exit.UNAVAILABLE:
                raise
            write_note(error.lines[0])
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
