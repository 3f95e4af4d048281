"""`taskexec get|list|stats|failures|history|graph`: queries, over HTTP."""

from typing import Annotated, Final

import typer

from service.cli.graph import show_graph
from service.cli.options import DEFAULT_URL, AsJson, Id, Url, examples
from service.cli.output import write_json, write_note
from service.cli.remote import FAILURES, STATS, Remote, path_of
from service.cli.request_options import accepting, parameters_of
from service.cli.show import (
    PAYLOADS_DROPPED,
    how_much,
    show_execution,
    show_failures,
    show_history,
    show_page,
    show_stats,
)
from service.ports.read_model import Grouping
from service.queries.requests import GetTaskExecutionFailures, GetTaskExecutionStats, ListTaskExecutions

_HEADS: Final[dict[object, str]] = {
    Grouping.TASK_VERSION: "version",
    Grouping.CREATED_BY: "created by",
    Grouping.MINUTE: "minute",
    Grouping.HOUR: "hour",
    Grouping.DAY: "day",
}
"""How the groups are headed; all others are tasks."""

Position = Annotated[
    str | None,
    typer.Option(
        "--min-position",
        metavar="PARTITION:OFFSET",
        show_default=False,
        help="Wait until the answer includes this: the Task-Execution-Position of a command.",
    ),
]


def get(id_: Id, *, min_position: Position = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show an execution: all that is known of it."""
    answer = Remote(url).get(path_of(id_), {"minPosition": min_position}).body
    if as_json:
        write_json(answer)
    else:
        show_execution(answer)


def history(id_: Id, *, min_position: Position = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what happened to an execution, event by event."""
    answer = Remote(url).get(path_of(id_, "history"), {"minPosition": min_position}).body
    if as_json:
        write_json(answer)
    else:
        show_history(answer)
        if "payloadsDropped" in answer:
            write_note(PAYLOADS_DROPPED)


def graph(id_: Id, *, min_position: Position = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what an execution waits for, and what waits for it, as trees."""
    answer = Remote(url).get(path_of(id_, "graph"), {"minPosition": min_position}).body
    if as_json:
        write_json(answer)
        return
    show_graph(answer)
    if answer["truncated"]:
        write_note(f"{len(answer['nodes'])} executions are shown, the nearest ones; there are more")


@accepting(ListTaskExecutions)
def list_(*, url: Url = DEFAULT_URL, as_json: AsJson = False, **given: object) -> None:
    """List executions, newest first, or longest. Filters combine."""
    answer = Remote(url).get(path_of(), parameters_of(ListTaskExecutions, given)).body
    if as_json:
        write_json(answer)
        return
    show_page(answer["items"])
    write_note(how_much(answer))


@accepting(GetTaskExecutionStats, without=("task_id",))
def stats(
    task_id: Annotated[
        str | None, typer.Argument(metavar="TASK_ID", help="Without it: all.", show_default=False)
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    **given: object,
) -> None:
    """Count executions by status: all, those of a task, those that fit, or groups of them."""
    asked = parameters_of(GetTaskExecutionStats, given) | {"taskId": task_id}
    answer = Remote(url).get(STATS, asked).body
    if as_json:
        write_json(answer)
    else:
        show_stats(answer, task_id or "all", _HEADS.get(asked.get("groupBy"), "task"))
        if error := answer.get("timesError"):
            write_note(f"times within {error:.0%} or a millisecond; exactly: --exact")


@accepting(GetTaskExecutionFailures)
def failures(*, url: Url = DEFAULT_URL, as_json: AsJson = False, **given: object) -> None:
    """Group failures by what their messages have in common, the largest group first."""
    answer = Remote(url).get(FAILURES, parameters_of(GetTaskExecutionFailures, given)).body
    if as_json:
        write_json(answer)
        return
    show_failures(answer["items"])
    write_note(
        f"{len(answer['items'])} of {answer['groupCount']} groups; {answer['total']} failures; "
        "those of a group: taskexec list --fingerprint FINGERPRINT"
    )


def register(app: typer.Typer) -> None:
    """Add the queries."""
    group = "Look at executions"
    id_ = "0f2c1d9e-7b0a-5a64-9c3b-2f6b1c0d9e11"
    for name, function, lines in (
        ("get", get, (f"taskexec get {id_}", f"taskexec get {id_} --json | jq -r .status")),
        (
            "list",
            list_,
            ("taskexec list --task-id sales:daily_report --status FAILURE", "taskexec list --sort duration --json"),
        ),
        (
            "stats",
            stats,
            ("taskexec stats sales:daily_report", "taskexec stats --group-by hour --created-from 24h --times"),
        ),
        (
            "failures",
            failures,
            (
                "taskexec failures --completed-from 24h",
                "taskexec list --fingerprint 'disk full on node <n>'",
            ),
        ),
        ("history", history, (f"taskexec history {id_}",)),
        ("graph", graph, (f"taskexec graph {id_}",)),
    ):
        app.command(name, rich_help_panel=group, epilog=examples(*lines))(function)
