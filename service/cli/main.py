"""The `taskexec` command line: one app, to which each module adds its commands."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from service.cli import (
    acting,
    commands,
    context,
    definitions,
    demo,
    doctor,
    ending,
    export,
    play,
    projection,
    queries,
    rejections,
    serve,
    state,
    topics,
    watch,
    worker,
)
from service.cli.exits import EXIT_CODES, CommandError
from service.cli.output import Format, write_error

_ARGUMENTS: Final = "taskexec.arguments"


class _Group(TyperGroup):
    """Turns an error of any command into its lines on stderr, as JSON if its answer is JSON, and its exit code."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - typer keeps its type private
        given = tuple(args)
        try:
            made = super().make_context(info_name, args, parent, **extra)
        except TyperException as error:
            raise _told(error, given) from None
        made.meta[_ARGUMENTS] = given
        return made

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return super().invoke(ctx)
        except CommandError as error:
            write_error(error.lines, error.problem, as_json=_wants_json(ctx.meta[_ARGUMENTS]))
            raise typer.Exit(error.exit_code) from None
        except TyperException as error:
            raise _told(error, ctx.meta[_ARGUMENTS]) from None


def _told(error: TyperException, arguments: Sequence[str]) -> typer.Exit:
    """Wrong usage, told as all other errors are; without any arguments, the help was told instead."""
    place = getattr(error, "ctx", None)
    if message := error.format_message().replace("Value error, ", ""):
        help_of = place.command_path if place is not None else "taskexec"
        write_error([message, f"See: {help_of} --help"], as_json=_wants_json(arguments))
    return typer.Exit(error.exit_code)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether the answer is to be JSON, even where the arguments make no sense."""
    formats = {value.lower() for name, value in pairwise(arguments) if name in {"-o", "--format"}}
    formats |= {one.removeprefix("--format=").removeprefix("-o").lower() for one in arguments}
    return "--json" in arguments or any(one.is_json for one in Format if one in formats)


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - seldom needed

        typer.echo(f"taskexec {version('task-execution-service')}")
        raise typer.Exit


app = typer.Typer(
    name="taskexec",
    cls=_Group,
    help="Runs tasks and keeps the record of every run.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda given: _version(wanted=given), is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Runs tasks and keeps the record of every run."""


serve.register(app)
worker.register(app, serve.PANEL)
demo.register(app)
play.register(app)
doctor.register(app)
commands.register(app)
acting.register(app)
queries.register(app)
export.register(app)
ending.register(app)
watch.register(app)
topics.register(app)
app.add_typer(state.app, name="state", rich_help_panel=serve.PANEL)
app.add_typer(rejections.app, name="rejections", rich_help_panel="Look at executions")
app.add_typer(projection.app, name="projection", rich_help_panel=serve.PANEL)
app.add_typer(definitions.app, name="definitions", rich_help_panel="Definitions")
app.add_typer(context.app, name="context", rich_help_panel="This command line")
