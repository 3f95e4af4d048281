"""`taskexec worker`: runs the worker of a program."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import Context, Url, address
from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples

if TYPE_CHECKING:
    from service.worker import Worker


def worker(
    where: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:WORKER", help="Where the worker is, such as reports:worker.", show_default=False
        ),
    ],
    *,
    url: Url = None,
    context: Context = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C: it takes nothing new then, and lets what runs end; at a second one, fail.

    Modules are looked for in the working directory as well. A URL that the program gives its worker counts unless
    --url or --context, or their variables, say otherwise; the current context counts where it gives none.
    """
    from service.logs import configure_logs  # noqa: PLC0415 - seldom needed
    from service.worker import RefusedError  # noqa: PLC0415 - the same

    configure_logs(read_settings().log_level)
    found = _worker(where)
    found.url = address(url, context, found.url)
    try:
        found.run()
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"{where}: {error}") from None
    except RefusedError as error:
        raise CommandError(Exit.REFUSED, f"{found.address} refuses this worker ({error.code})", error.detail) from None


def register(app: typer.Typer, panel: str) -> None:
    """Add the command."""
    app.command(
        rich_help_panel=panel,
        epilog=examples("taskexec worker reports:worker", "taskexec worker reports:worker --context staging"),
    )(worker)


def _worker(where: str) -> "Worker":
    """The worker of this name.

    Raises:
        CommandError: there is none. An error of the program itself is its own.
    """
    from service.worker import Worker  # noqa: PLC0415 - seldom needed

    name, _, attribute = where.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except (ModuleNotFoundError, ValueError) as error:
        missing = getattr(error, "name", None) or name
        if not f"{name}.".startswith(f"{missing}."):
            raise  # the program lacks it
        raise CommandError(Exit.USAGE, f"There is no module {missing!r}.", f"{where} must be MODULE:WORKER.") from None
    found = getattr(module, attribute, None)
    if not isinstance(found, Worker):
        raise CommandError(
            Exit.USAGE, f"{where} is no Worker, but {type(found).__name__}.", "It must be MODULE:WORKER."
        )
    return found
