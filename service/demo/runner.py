"""Runs the whole service under the sample workload."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.console import Console

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.demo.definitions import DEFINITIONS
from service.demo.player import Summary, play
from service.demo.report import CountsByTask, counts_by_task, disagreements
from service.demo.staging import PROJECTION_SECONDS, progress_bar, run_play
from service.demo.workload import Plan
from service.queries.executions import TaskExecutionQueries
from service.runtime.running import Running

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
    """See `run_play`."""
    await run_play(service, partial(_play, plan), finished, stay=stay)


async def _play(plan: Plan, running: Running, console: Console) -> Played:
    queries = running.queries
    assert queries is not None  # noqa: S101 - the demo runs every role
    before = await _count(queries)
    await publish_definitions(running.kafka, DEFINITIONS)
    began = time.monotonic()
    async with CommandClient(running.kafka, _SOURCE) as commands:
        with progress_bar(console) as progress:
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
    deadline = time.monotonic() + PROJECTION_SECONDS
    while True:
        by_task, rejected = await _count(queries)
        added = {task: Counter(counts) - Counter(before[0].get(task, {})) for task, counts in by_task.items()}
        differences = disagreements(plan, added, rejected=rejected - before[1])
        if not differences or time.monotonic() > deadline:
            return added, rejected - before[1], differences
        await asyncio.sleep(0.2)
