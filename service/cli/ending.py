"""`taskexec wait`, and `--wait` of commands: until an execution has come so far, and what the exit code says then."""

import time
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from service.cli.asking import asking
from service.cli.exits import CommandError, Exit
from service.cli.ids import whole_id
from service.cli.options import LOOKING, Id, examples
from service.cli.output import Output, write_note
from service.cli.remote import Answer, Remote, path_of
from service.cli.show import write_execution
from service.cli.values import read_timeout

ENDS: Final = ("SUCCESS", "FAILURE", "STOPPED", "SKIPPED")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0

Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended; exit code 5 if that is not SUCCESS.")]


class Goal(StrEnum):
    """What is waited for: any end, that it has started (`RUNNING`), or this end."""

    ENDED = "ended"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"

    def is_met(self, execution: dict[str, Any]) -> bool:
        """Whether it has come so far."""
        if self is Goal.RUNNING:
            return "startedAt" in execution
        return execution["status"] in ENDS if self is Goal.ENDED else execution["status"] == self.value


@asking
def wait(
    id_: Id,
    *,
    goal: Annotated[
        Goal, typer.Option("--for", case_sensitive=False, help="`ended`, or a status; RUNNING: that it has started.")
    ] = Goal.SUCCESS,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", show_default="none", help="At most so long: 90s, 5m, 2h.")
    ] = None,
    remote: Remote,
    out: Output,
) -> None:
    """Wait until an execution has come so far; exit code 5 if it ended otherwise, 3 if that took too long."""
    longest = read_timeout(timeout) if timeout else None
    execution = until(remote, whole_id(remote, id_), goal, longest)
    write_execution(execution, out)
    if not goal.is_met(execution):
        raise typer.Exit(Exit.NOT_SUCCESSFUL)


def wait_for_end(remote: Remote, answer: Answer, out: Output, goal: Goal = Goal.SUCCESS) -> None:
    """Wait for the end of the execution that a command answered with, and print it.

    Raises:
        typer.Exit: it did not end as the goal says.
    """
    write_note(f"{answer.body['id']} is {answer.body['status']}; waiting for its end.")
    execution = until(remote, answer.body["id"], Goal.ENDED, None, answer.position)
    write_execution(execution, out)
    if not goal.is_met(execution):
        raise typer.Exit(Exit.NOT_SUCCESSFUL)


def until(
    remote: Remote, id_: str, goal: Goal, longest: timedelta | None, position: str | None = None
) -> dict[str, Any]:
    """The execution when the goal is met or cannot be any more; a service that is away for a while is waited for.

    Raises:
        CommandError: there is none of this id, or it took longer.
    """
    deadline = None if longest is None else time.monotonic() + longest.total_seconds()
    pause, told, status = _FIRST_PAUSE, False, "not known"
    while True:
        try:
            execution: dict[str, Any] = remote.get(path_of(id_), {"minPosition": position}).body
            told, status = False, execution["status"]
            if goal.is_met(execution) or status in ENDS:
                return execution
        except CommandError as error:
            if error.exit_code is not Exit.UNAVAILABLE:
                raise
            if not told:
                write_note(f"{error.lines[0]} Asking again.")
            told = True
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise CommandError(Exit.UNAVAILABLE, f"{id_} is {status} after {longest}; it was waited for {goal.value}.")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = "taskexec wait 3f2a91c4 --timeout 5m", "taskexec wait 3f2a91c4 --for ended -o json | jq -r .status"
    app.command(rich_help_panel=LOOKING, epilog=examples(*lines))(wait)
