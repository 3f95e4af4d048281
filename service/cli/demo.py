"""`taskexec demo`: the whole service here, under a realistic workload that comes in through Kafka."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from service.cli.exits import EXIT_CODES
from service.cli.serve import PANEL, DataDirOption, HttpPort, KafkaPort, run

Executions = Annotated[int, typer.Option("--executions", "-n", min=1, max=1_000_000, help="How many to play.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed plays the same workload.")]
ExitAfter = Annotated[bool, typer.Option("--exit", help="End when it is played, instead of staying up.")]
JsonReport = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(rich_help_panel=PANEL, epilog=EXIT_CODES)(demo)


def demo(  # noqa: PLR0913 - the options of a command line
    *,
    executions: Executions = 300,
    seed: Seed = 1,
    exit_: ExitAfter = False,
    json: JsonReport = False,
    data_dir: DataDirOption = None,
    kafka_port: KafkaPort = 9092,
    http_port: HttpPort = 8080,
) -> None:
    """Run the whole service with a sample workload, show the result, and stay up until Ctrl-C.

    Plays as an outside service would: publishes definitions, then commands, good and bad ones and repeated ones.
    Without --data-dir everything is gone afterwards.
    """
    from service.cli.playing import Show  # noqa: PLC0415 - loads everything

    show = Show(executions, seed, stay=not exit_, as_json=json)
    with TemporaryDirectory(prefix="taskexec-demo-") as scratch:
        run(show.run(data_dir or Path(scratch), kafka_port, http_port), "WARNING")
