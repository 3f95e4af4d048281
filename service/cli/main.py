"""The `taskexec` command line: one app, to which each module adds its commands."""

from typing import Annotated, Any

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
from service.cli.asking import FORMAT
from service.cli.exits import EXIT_CODES, CommandError
from service.cli.output import Format, write_error


class _Group(TyperGroup):
    """Turns an error of any command into its lines on stderr, as JSON if its answer is JSON, and its exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer keeps its type private
        try:
            return super().invoke(ctx)
        except CommandError as error:
            write_error(error.lines, error.problem, as_json=self._is_json(ctx))
            raise typer.Exit(error.exit_code) from None
        except TyperException as error:
            if not self._is_json(ctx):
                raise
            write_error([error.format_message()], as_json=True)
            raise typer.Exit(error.exit_code) from None

    def _is_json(self, ctx: Any) -> bool:  # noqa: ANN401 - as above
        return Format(ctx.meta.get(FORMAT, Format.TABLE)).is_json


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
