"""Runs the whole service under the sample workload."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.demo.definitions import DEFINITIONS
from service.demo.player import Summary, play
from service.demo.report import CountsByTask, counts_by_task, disagreements
from service.demo.workload import Plan
from service.queries.executions import TaskExecutionQueries
from service.runtime.running import Running

_PROJECTION_SECONDS: Final = 60.0
_SOURCE: Final = "/demo"


@dataclass(frozen=True, slots=True)
class Played:
    """What came of the workload. `counts` and `rejected` are the read side's; `wrong` says what was not as planned."""

    summary: Summary
    counts: CountsByTask
    rejected: int
    seconds: float
    wrong: list[str]


async def run_demo(
    service: AbstractAsyncContextManager[Running],
    plan: Plan,
    finished: Callable[[Played, Running], None],
    *,
    stay: bool,
) -> None:
    """Start the service, play the plan, and give `finished` the outcome; then stay up until cancelled, if so asked.

    Progress goes to stderr. Raises what `finished` raises, and whatever ends the service.
    """
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        with console.status("Starting (the first time Kafka's jars are fetched: half a minute) …"):
            running = await stack.enter_async_context(service)
        playing = asyncio.create_task(_play(running, plan, console))
        await asyncio.wait([playing, running.watch], return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await running.watch
        finished(await playing, running)
        if stay:
            await running.watch


async def _play(running: Running, plan: Plan, console: Console) -> Played:
    queries = running.queries
    assert queries is not None  # noqa: S101 - the demo runs every role
    before = await _count(queries)
    await publish_definitions(running.kafka, DEFINITIONS)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    began = time.monotonic()
    async with CommandClient(running.kafka, _SOURCE) as commands:
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("Sending commands", total=plan.total)
            summary = await play(plan, commands, on_progress=lambda done, _: progress.update(bar, completed=done))
    with console.status("Waiting until ClickHouse has everything …"):
        counts, rejected, differences = await _counted(queries, before, plan)
    return Played(summary, counts, rejected, time.monotonic() - began, [*summary.unexpected, *differences])


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
