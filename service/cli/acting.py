"""`taskexec stop|skip|rerun`: of one execution, or of all that fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import typer

from service.cli.asking import asking
from service.cli.commands import Inputs, Pairs
from service.cli.completion import complete_id
from service.cli.ending import Goal, Wait, wait_for_end
from service.cli.exits import CommandError, Exit
from service.cli.ids import whole_id
from service.cli.options import CHANGING, Key, examples
from service.cli.output import Output
from service.cli.remote import Answer, Remote, path_of
from service.cli.request_options import OF_A_PAGE, accepting, filters_of, is_filtered
from service.cli.show import write_execution
from service.cli.values import read_given
from service.queries.requests import ListTaskExecutions


class Choice(NamedTuple):
    """How many are acted on: unasked, only shown, with which journal, going on with which one, with which key."""

    yes: bool
    dry_run: bool
    journal: Path | None
    resume: Path | None
    key: str | None


Reason = Literal["upstream_failed", "upstream_stopped", "upstream_skipped", "condition_false"]

OneId = Annotated[
    str | None,
    typer.Argument(
        metavar="ID",
        help="The id of the execution, or how it begins. Without: all that fit the filters.",
        show_default=False,
        autocompletion=complete_id,
    ),
]
RequestedBy = Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="Who asks.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Of many: do not ask first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Of many: show which, and change nothing.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", help="Of many: what became of each.", show_default="in your state directory"
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume", metavar="FILE", help="Go on with this journal; nothing is done twice.", show_default=False
    ),
]


@asking
@accepting(ListTaskExecutions, without=OF_A_PAGE)
def stop(  # noqa: PLR0913 - every argument is an option
    id_: OneId = None,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", show_default=False, help="Why.")] = None,
    requested_by: RequestedBy = None,
    key: Key = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until answers show its end; exit code 5 if that is not STOPPED.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    journal: JournalFile = None,
    resume: Resume = None,
    remote: Remote,
    out: Output,
    **given: object,
) -> None:
    """End executions early that are pending or running: one, or all that fit."""
    more = {"reason": reason, "requestedBy": requested_by}
    if id_ is None:
        _many("stop", more, given, Choice(yes, dry_run, journal, resume, key), remote, out)
        return
    answer = _one("stop", id_, more, given, key, remote)
    if wait:
        wait_for_end(remote, answer, out, Goal.STOPPED)
    else:
        write_execution(answer.body, out)


@asking
@accepting(ListTaskExecutions, without=OF_A_PAGE)
def skip(  # noqa: PLR0913 - every argument is an option
    id_: OneId = None,
    *,
    reason: Annotated[
        Reason | None,
        typer.Option(metavar="REASON", show_default=False, help=f"Of one: why, {', '.join(get_args(Reason))}."),
    ] = None,
    node: Annotated[
        str | None, typer.Option(metavar="NODE", show_default=False, help="Of one: the node that is the cause.")
    ] = None,
    requested_by: RequestedBy = None,
    key: Key = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    journal: JournalFile = None,
    resume: Resume = None,
    remote: Remote,
    out: Output,
    **given: object,
) -> None:
    """Say that pending executions will never run: one, or all that fit."""
    if id_ is None:
        if reason is not None or node is not None:
            raise CommandError(Exit.USAGE, "--reason and --node are of one execution: name its ID.")
        more = {"requestedBy": requested_by}
        _many("skip", more, given, Choice(yes, dry_run, journal, resume, key), remote, out)
        return
    if reason is None or node is None:
        raise CommandError(Exit.USAGE, "--reason and --node are needed: why it is skipped, and for which node.")
    write_execution(_one("skip", id_, {"reason": reason, "node": node}, given, key, remote).body, out)


@asking
@accepting(ListTaskExecutions, without=OF_A_PAGE)
def rerun(  # noqa: PLR0913 - every argument is an option
    id_: OneId = None,
    *,
    pairs: Pairs = None,
    inputs: Inputs = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", show_default="the same", help="Of one: another version.")
    ] = None,
    requested_by: RequestedBy = None,
    key: Key = None,
    wait: Wait = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    journal: JournalFile = None,
    resume: Resume = None,
    remote: Remote,
    out: Output,
    **given: object,
) -> None:
    """Run executions again that have ended, as new ones: one, whose inputs may be changed, or all that fit."""
    changed = read_given("input", inputs, pairs)
    if id_ is None:
        if changed or version is not None or wait:
            raise CommandError(Exit.USAGE, "--input, --inputs, --version and --wait are of one execution: name its ID.")
        more = {"requestedBy": requested_by}
        _many("rerun", more, given, Choice(yes, dry_run, journal, resume, key), remote, out)
        return
    body = {"inputs": changed or None, "taskVersion": version, "createdBy": requested_by}
    answer = _one("rerun", id_, body, given, key, remote)
    if wait:
        wait_for_end(remote, answer, out)
    else:
        write_execution(answer.body, out)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function, lines in (
        (stop, ("taskexec stop 3f2a91c4 --reason 'superseded by a newer run'",
                "taskexec stop --task sales:daily_report --status RUNNING --since 24h --dry-run",
                "taskexec stop --tag backfill --yes --journal stopped.jsonl",
                "taskexec stop --resume stopped.jsonl")),
        (skip, ("taskexec skip 3f2a91c4 --reason upstream_failed --node collect_data",
                "taskexec skip --tag backfill --dry-run")),
        (rerun, ("taskexec rerun 3f2a91c4 --wait", "taskexec rerun 3f2a91c4 --input top=20 --version 1.3.0",
                 "taskexec rerun --status FAILURE --fingerprint 'disk full on node <n>' --since 24h")),
    ):  # fmt: skip
        app.command(rich_help_panel=CHANGING, epilog=examples(*lines))(function)


def _one(  # noqa: PLR0913, PLR0917 - what a command has
    action: str, id_: str, body: Mapping[str, Any], given: Mapping[str, object], key: str | None, remote: Remote
) -> Answer:
    if is_filtered(given):
        raise CommandError(Exit.USAGE, "An ID and filters are given. Name one execution, or say which ones by filters.")
    return remote.post(path_of(whole_id(remote, id_), action), body, key)


def _many(  # noqa: PLR0913, PLR0917 - as above
    action: str,
    more: Mapping[str, Any],
    given: Mapping[str, object],
    choice: Choice,
    remote: Remote,
    out: Output,
) -> None:
    from service.cli.bulk import Bulk  # noqa: PLC0415 - seldom needed
    from service.cli.journal import Journal  # noqa: PLC0415 - the same

    if choice.resume is not None:
        journal = Journal.read(choice.resume.resolve())
        if is_filtered(given) or journal.head["action"] != action:
            said = f"{choice.resume} is about: taskexec {journal.head['action']}. Its executions are fixed: no filters."
            raise CommandError(Exit.USAGE, said)
        Bulk(action, {}, Remote(journal.head["url"]), out).carry_out(journal)
        return
    if not is_filtered(given):
        raise CommandError(
            Exit.USAGE,
            "Neither an ID nor a filter is given: that would be all executions there are.",
            f"Name one, or say which ones, such as --tag TAG; see: taskexec {action} --help",
        )
    bulk, filters = Bulk(action, more, remote, out), filters_of(given)
    if choice.dry_run:
        bulk.show(filters)
    else:
        bulk.act(filters, choice.key, choice.journal, yes=choice.yes)
