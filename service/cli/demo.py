"""`taskexec demo`: the whole service here, under a realistic workload that comes in through Kafka."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli.exits import EXIT_CODES, CommandError, Exit
from service.cli.output import write_json, write_note
from service.cli.serve import PANEL, DataDirOption, HttpPort, KafkaPort, read_settings, run
from service.demo.report import CountsByTask, counts_by_task, disagreements, report, stats_table
from service.logs import configure_logs

if TYPE_CHECKING:
    from rich.console import Console

    from service.app import Running
    from service.demo.player import Summary
    from service.demo.workload import Plan
    from service.queries.executions import TaskExecutionQueries

_PROJECTION_SECONDS: Final = 60.0
_SOURCE: Final = "/demo"

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
    configure_logs("WARNING")
    show = _Show(executions, seed, stay=not exit_, as_json=json)
    with TemporaryDirectory(prefix="taskexec-demo-") as scratch:
        run(show.run(data_dir or Path(scratch), kafka_port, http_port))


class _Show:
    """One run of the demo. Progress goes to stderr, the result to stdout."""

    def __init__(self, executions: int, seed: int, *, stay: bool, as_json: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - seldom needed

        self._executions, self._seed, self._stay, self._as_json = executions, seed, stay, as_json
        self._console: Console = Console(stderr=True)

    async def run(self, directory: Path, kafka_port: int, http_port: int) -> None:
        from service.app import running_embedded  # noqa: PLC0415 - loads everything

        async with AsyncExitStack() as stack:
            async with _stage(self._console, "Starting (the first time Kafka's jars are fetched: half a minute)"):
                service = running_embedded(directory, read_settings(http_port=http_port), kafka_port)
                running, watch = await stack.enter_async_context(service)
            played = asyncio.create_task(self._play(running))
            await asyncio.wait([played, watch], return_when=asyncio.FIRST_COMPLETED)
            if not played.done():
                played.cancel()
                await watch
            await played
            if self._stay:
                self._invite(running)
                await watch

    async def _play(self, running: "Running") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        from service.client.commands import CommandClient  # noqa: PLC0415 - loads everything
        from service.client.definitions import publish_definitions  # noqa: PLC0415 - loads everything
        from service.demo.definitions import DEFINITIONS  # noqa: PLC0415 - loads everything
        from service.demo.player import play  # noqa: PLC0415 - loads everything
        from service.demo.workload import make_plan  # noqa: PLC0415 - loads everything

        queries = running.queries
        assert queries is not None  # noqa: S101 - the demo runs every role
        before = await _count(queries)
        run = f"{time.time_ns() // 1_000_000:x}"
        plan = make_plan(self._executions, seed=self._seed, run=run)
        await publish_definitions(running.bootstrap_servers, DEFINITIONS)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        began = time.monotonic()
        async with CommandClient(running.bootstrap_servers, _SOURCE) as commands:
            with Progress(*columns, console=self._console, transient=True) as progress:
                bar = progress.add_task("Sending commands", total=plan.total)
                summary = await play(plan, commands, on_progress=lambda done, _: progress.update(bar, completed=done))
        async with _stage(self._console, "Waiting until ClickHouse has everything"):
            counts, rejected, differences = await _counted(queries, before, plan)
        self._report(counts, rejected, summary, time.monotonic() - began)
        if wrong := [*summary.unexpected, *differences]:
            raise CommandError(Exit.REFUSED, "The demo did not end as planned.", *wrong[:20])

    def _report(self, counts: "CountsByTask", rejected: int, summary: "Summary", seconds: float) -> None:
        from rich.console import Console  # noqa: PLC0415 - seldom needed

        if self._as_json:
            outcome = report(counts, rejected=rejected, duplicates=summary.duplicates, seconds=seconds)
            write_json(outcome)
        else:
            Console().print(stats_table(counts))
            write_note(
                f"{summary.sent} commands in {seconds:.1f} s: {summary.accepted} accepted, "
                f"{summary.rejected} rejected, {summary.duplicates} duplicates."
            )

    def _invite(self, running: "Running") -> None:
        url = running.url or ""
        write_note(
            f"\nAPI       {url}/api/v1/task-executions\n"
            f"OpenAPI   {url}/openapi.json\n"
            f"Metrics   {url}/metrics\n"
            f"Kafka     {running.bootstrap_servers}\n"
            "Ctrl-C stops it all."
        )


Counts = tuple[CountsByTask, int]


async def _count(queries: "TaskExecutionQueries") -> Counts:
    """The executions by task and status, and the rejections, in ClickHouse."""
    return counts_by_task(await queries.stats_by_task()), await queries.rejections_count()


async def _counted(
    queries: "TaskExecutionQueries", before: Counts, plan: "Plan"
) -> tuple[CountsByTask, int, list[str]]:
    """What came on top of `before`, once it agrees with the plan; else, after a while, where it does not."""
    deadline = time.monotonic() + _PROJECTION_SECONDS
    while True:
        by_task, rejected = await _count(queries)
        added = {task: Counter(counts) - Counter(before[0].get(task, {})) for task, counts in by_task.items()}
        differences = disagreements(plan, added, rejected=rejected - before[1])
        if not differences or time.monotonic() > deadline:
            return added, rejected - before[1], differences
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _stage(console: "Console", text: str) -> AsyncIterator[None]:
    with console.status(f"{text} …"):
        yield
