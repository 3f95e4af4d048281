"""`taskexec get|list|count|stats|failures|history|graph`: queries, over HTTP."""

from typing import Final

import typer

from service.cli.asking import asking
from service.cli.graph import edges_table, show_graph
from service.cli.ids import whole_id
from service.cli.options import LOOKING, Id, Position, examples
from service.cli.output import Output, Table, write_note
from service.cli.remote import FAILURES, STATS, Remote, path_of
from service.cli.request_options import OF_A_PAGE, accepting, parameters_of
from service.cli.show import (
    PAYLOADS_DROPPED,
    executions_table,
    failures_table,
    history_table,
    how_much,
    stats_table,
    write_execution,
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


@asking
def get(id_: Id, *, min_position: Position = None, remote: Remote, out: Output) -> None:
    """Show an execution: all that is known of it."""
    answer = remote.get(path_of(whole_id(remote, id_)), {"minPosition": min_position}).body
    write_execution(answer, out)


@asking
def history(id_: Id, *, min_position: Position = None, remote: Remote, out: Output) -> None:
    """Show what happened to an execution, event by event."""
    answer = remote.get(path_of(whole_id(remote, id_), "history"), {"minPosition": min_position}).body
    if out.write(answer, lambda: history_table(answer)) and "payloadsDropped" in answer:
        write_note(PAYLOADS_DROPPED)


@asking
def graph(id_: Id, *, min_position: Position = None, remote: Remote, out: Output) -> None:
    """Show what an execution waits for, and what waits for it, as trees."""
    answer = remote.get(path_of(whole_id(remote, id_), "graph"), {"minPosition": min_position}).body
    if out.write(answer, lambda: edges_table(answer), lambda: show_graph(answer)) and answer["truncated"]:
        write_note(f"{len(answer['nodes'])} executions are shown, the nearest ones; there are more")


@asking
@accepting(ListTaskExecutions)
def list_(*, remote: Remote, out: Output, **given: object) -> None:
    """List executions, newest first, or longest. Filters combine."""
    answer = remote.get(path_of(), parameters_of(ListTaskExecutions, given)).body
    if out.write(answer, lambda: executions_table(answer["items"], out)):
        write_note(how_much(answer))


@asking
@accepting(ListTaskExecutions, without=OF_A_PAGE)
def count(*, remote: Remote, out: Output, **given: object) -> None:
    """Print how many executions fit. Filters combine, as those of `list` do."""
    answer = remote.get(path_of(), parameters_of(ListTaskExecutions, given) | {"pageSize": 1}).body
    total = answer["total"]
    out.write({"total": total}, lambda: Table(("TOTAL",), [[total]]), lambda: typer.echo(total))


@asking
@accepting(GetTaskExecutionStats)
def stats(*, remote: Remote, out: Output, **given: object) -> None:
    """Count executions by status: all, those that fit, or groups of them."""
    asked = parameters_of(GetTaskExecutionStats, given)
    answer = remote.get(STATS, asked).body
    what, heads = asked.get("taskId") or "all", _HEADS.get(asked.get("groupBy"), "task")
    if not out.write(answer, lambda: stats_table(answer, what, heads)):
        return
    if (listed := len(answer.get("groups", ()))) < (there := answer.get("groupCount", 0)):
        write_note(f"{listed} of {there} groups; others: --sort, --group-text, --limit")
    if error := answer.get("timesError"):
        write_note(f"times within {error:.0%} and a millisecond; exactly: --exact")


@asking
@accepting(GetTaskExecutionFailures)
def failures(*, remote: Remote, out: Output, **given: object) -> None:
    """Group failures by what their messages have in common, the largest group first."""
    answer = remote.get(FAILURES, parameters_of(GetTaskExecutionFailures, given)).body
    if out.write(answer, lambda: failures_table(answer["items"])):
        write_note(
            f"{len(answer['items'])} of {answer['groupCount']} groups; {answer['total']} failures; "
            "those of a group: taskexec list --fingerprint FINGERPRINT"
        )


def register(app: typer.Typer) -> None:
    """Add the queries."""
    for name, function, lines in (
        ("get", get, ("taskexec get 3f2a91c4", "taskexec get 3f2a91c4 -o json | jq -r .status")),
        ("list", list_, ("taskexec list --task sales:daily_report --status FAILURE --status STOPPED --since 24h",
                         "taskexec list --sort duration -o wide")),
        ("count", count, ("taskexec count --status RUNNING", "taskexec count --tag nightly --since 24h")),
        ("stats", stats, ("taskexec stats --task sales:daily_report",
                          "taskexec stats --group-by hour --since 24h --times",
                          "taskexec stats --group-by taskId --sort failure --limit 10 --since 24h")),
        ("failures", failures, ("taskexec failures --completed-from 24h",
                                "taskexec list --fingerprint 'disk full on node <n>'")),
        ("history", history, ("taskexec history 3f2a91c4",)),
        ("graph", graph, ("taskexec graph 3f2a91c4",)),
    ):  # fmt: skip
        app.command(name, rich_help_panel=LOOKING, epilog=examples(*lines))(function)
