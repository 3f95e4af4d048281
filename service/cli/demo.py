"""`taskexec demo`: the whole service here, under a realistic workload that comes in through Kafka."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.environment import read_settings
from service.cli.exits import CommandError, Exit
from service.cli.options import examples
from service.cli.output import write_json, write_note
from service.cli.serve import PANEL, DataDirOption, HttpPort, KafkaPort, run

if TYPE_CHECKING:
    from service.demo.runner import Played
    from service.runtime.running import Running

Executions = Annotated[int, typer.Option("--executions", "-n", min=1, max=1_000_000, help="How many to play.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed plays the same workload.")]
ExitAfter = Annotated[bool, typer.Option("--exit", help="End when it is played, instead of staying up.")]
JsonReport = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    lines = "taskexec demo", "taskexec demo --executions 50 --exit --json"
    app.command(rich_help_panel=PANEL, epilog=examples(*lines))(demo)


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
    from service.bootstrap import running_embedded  # noqa: PLC0415 - loads everything
    from service.demo.runner import run_demo  # noqa: PLC0415 - the same
    from service.demo.workload import make_plan  # noqa: PLC0415 - the same

    def finished(played: "Played", running: "Running") -> None:
        _write_report(played, as_json=json)
        if played.wrong:
            raise CommandError(Exit.REFUSED, "The demo did not end as planned.", *played.wrong[:20])
        if not exit_:
            invite(running)

    plan = make_plan(executions, seed=seed, run=f"{time.time_ns() // 1_000_000:x}")
    settings = read_settings(http_port=http_port)
    with TemporaryDirectory(prefix="taskexec-demo-") as scratch:
        service = running_embedded(data_dir or Path(scratch), settings, kafka_port)
        run(run_demo(service, plan, finished, stay=not exit_), "WARNING")


def _write_report(played: "Played", *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - seldom needed

    from service.demo.report import report, stats_table  # noqa: PLC0415 - seldom needed

    summary = played.summary
    if as_json:
        outcome = report(played.counts, rejected=played.rejected, duplicates=summary.duplicates, seconds=played.seconds)
        write_json(outcome)
        return
    Console().print(stats_table(played.counts))
    write_note(
        f"{summary.sent} commands in {played.seconds:.1f} s: {summary.accepted} accepted, "
        f"{summary.rejected} rejected, {summary.duplicates} duplicates."
    )


def invite(running: "Running") -> None:
    """Say on stderr where everything is, and how it ends."""
    write_note(
        f"\nPages     {running.url}/\n"
        f"API       {running.url}/api/v1/task-executions\n"
        f"OpenAPI   {running.url}/openapi.json\n"
        f"Metrics   {running.url}/metrics\n"
        f"Kafka     {running.kafka.servers}\n"
        "Ctrl-C stops it all."
    )
