"""The run behind `taskexec demo`."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.bootstrap import Running, running_embedded
from service.cli.exits import CommandError, Exit
from service.cli.output import write_json, write_note
from service.cli.serve import read_settings
from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.demo.definitions import DEFINITIONS
from service.demo.player import Summary, play
from service.demo.report import CountsByTask, counts_by_task, disagreements, report, stats_table
from service.demo.workload import Plan, make_plan
from service.queries.executions import TaskExecutionQueries

_PROJECTION_SECONDS: Final = 60.0
_SOURCE: Final = "/demo"


class Show:
    """One run of the demo. Progress goes to stderr, the result to stdout."""

    def __init__(self, executions: int, seed: int, *, stay: bool, as_json: bool) -> None:

        self._executions, self._seed, self._stay, self._as_json = executions, seed, stay, as_json
        self._console: Console = Console(stderr=True)

    async def run(self, directory: Path, kafka_port: int, http_port: int) -> None:
        """Start, play, report; then stay up until cancelled, if so asked.

        Raises:
            CommandError: something did not end as planned.
        """
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

    async def _play(self, running: Running) -> None:

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

    def _report(self, counts: CountsByTask, rejected: int, summary: Summary, seconds: float) -> None:

        if self._as_json:
            outcome = report(counts, rejected=rejected, duplicates=summary.duplicates, seconds=seconds)
            write_json(outcome)
        else:
            Console().print(stats_table(counts))
            write_note(
                f"{summary.sent} commands in {seconds:.1f} s: {summary.accepted} accepted, "
                f"{summary.rejected} rejected, {summary.duplicates} duplicates."
            )

    def _invite(self, running: Running) -> None:
        url = running.url or ""
        write_note(
            f"\nAPI       {url}/api/v1/task-executions\n"
            f"OpenAPI   {url}/openapi.json\n"
            f"Metrics   {url}/metrics\n"
            f"Kafka     {running.bootstrap_servers}\n"
            "Ctrl-C stops it all."
        )


Counts = tuple[CountsByTask, int]


async def _count(queries: TaskExecutionQueries) -> Counts:
    """The executions by task and status, and the rejections, in ClickHouse."""
    return counts_by_task(await queries.stats_by_task()), await queries.rejections_count()


async def _counted(queries: TaskExecutionQueries, before: Counts, plan: Plan) -> tuple[CountsByTask, int, list[str]]:
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
async def _stage(console: Console, text: str) -> AsyncIterator[None]:
    with console.status(f"{text} …"):
        yield
