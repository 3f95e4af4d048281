"""Plays a recorded workflow through the service, which alone decides what may start and what is skipped."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from rich.console import Console

from service.client.commands import CommandClient
from service.client.definitions import publish_definitions
from service.contracts.commands import ExecuteTask
from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Variable, VariableType
from service.contracts.dependencies import Dependency
from service.contracts.executions import TaskExecution
from service.contracts.status import Status
from service.demo.recordings import RecordedTask, Recording
from service.demo.staging import PROJECTION_SECONDS, progress_bar
from service.demo.workers import Workers, events_from_now
from service.domain.identity import command_id
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import MAX_PAGE_SIZE, ListTaskExecutions
from service.runtime.running import Running

_VERSION: Final = "1.0.0"
_REPLY_SECONDS: Final = 120.0
_MAX_PART: Final = 120
_NUMBER: Final = re.compile(r"[\s_.-]*(ID)?\d+$")


@dataclass(frozen=True, slots=True)
class Play:
    """What to play: the recording, and the tasks that fail. `scale`: what a recorded second takes, in seconds."""

    recording: Recording
    failing: Collection[str]
    seed: int = 1
    scale: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The execution of each task, as the read side has it; `wrong` says what was not as it must be."""

    executions: Mapping[str, TaskExecution]
    seconds: float
    wrong: list[str]

    @property
    def skipped(self) -> list[str]:
        """The names of those that were skipped, sorted."""
        return sorted(name for name, one in self.executions.items() if one.status is Status.SKIPPED)

    @property
    def counts(self) -> Mapping[str, Counter[Status]]:
        """By taskId, how many are in each status."""
        counts: defaultdict[str, Counter[Status]] = defaultdict(Counter)
        for one in self.executions.values():
            counts[one.task_id][one.status] += 1
        return counts

    @property
    def summary(self) -> dict[str, object]:
        """As a JSON object."""
        counts = sum(self.counts.values(), Counter[Status]())
        return {
            "total": counts.total(), "success": counts[Status.SUCCESS], "failure": counts[Status.FAILURE],
            "skipped": self.skipped,
        }  # fmt: skip


async def play_recording(play: Play, running: Running, console: Console) -> Ended:
    """Submit all tasks at once, in any order, work them off, and read how they ended."""
    queries = running.queries
    assert queries is not None  # noqa: S101 - a play runs every role
    run = f"{time.time_ns() // 1_000_000:x}"
    source, tag = f"/play/{run}", f"run:{run}"
    tasks = play.recording.tasks
    ids = {name: command_id(source, name) for name in tasks}
    await publish_definitions(running.kafka, definitions_of(play.recording))
    order = [*tasks.values()]
    Random(play.seed).shuffle(order)  # noqa: S311 - an order, no secret
    began = time.monotonic()
    async with (
        events_from_now(running.kafka) as events,
        CommandClient(running.kafka, source, timeout=_REPLY_SECONDS) as commands,
    ):
        workers = Workers(commands.submit, {ids[name]: task for name, task in tasks.items()}, play.failing, play.scale)
        with progress_bar(console) as progress:
            bar = progress.add_task(f"Playing {play.recording.name}", total=len(tasks))
            async with asyncio.TaskGroup() as group:
                group.create_task(workers.work(events, lambda ended: progress.update(bar, completed=ended)))
                for task in order:
                    group.create_task(workers.send(_create(play.recording, task, ids, tag), task.name, task.name))
    with console.status("Waiting until ClickHouse has everything …"):
        found = await _found(queries, tag, len(tasks))
    names = {id_: name for name, id_ in ids.items()}
    executions = {names[one.id]: one for one in found}
    differences = disagreements(play.recording.outcome(play.failing), executions)
    return Ended(executions, time.monotonic() - began, [*workers.unexpected, *differences])


def definitions_of(recording: Recording) -> Sequence[TaskDefinition]:
    """One for each kind of task: a name without the number at its end."""
    inputs = (
        Variable(name="task", type=VariableType.STRING),
        Variable(name="runtimeInSeconds", type=VariableType.NUMBER),
    )
    return [
        TaskDefinition(
            task_id=task_id, version=_VERSION, status=DefinitionStatus.PUBLISHED, type=TaskType.RAY_OPERATOR,
            input_variables=inputs,
        )
        for task_id in sorted({_task_id(recording, task) for task in recording.tasks.values()})
    ]  # fmt: skip


def disagreements(expected: Mapping[str, Status], executions: Mapping[str, TaskExecution]) -> list[str]:
    """Where a run did not end as a search through the graph says; empty if it did everywhere."""
    ends = {name: one.status for name, one in executions.items()}
    return [
        f"{name}: {ends.get(name, 'not there')}, not {status}"
        for name, status in expected.items()
        if ends.get(name) is not status
    ]


def _task_id(recording: Recording, task: RecordedTask) -> str:
    parts = recording.name, _NUMBER.sub("", task.name) or task.name
    return ":".join(re.sub(r"[^A-Za-z0-9_.-]", "_", part)[:_MAX_PART] for part in parts)


def _create(recording: Recording, task: RecordedTask, ids: dict[str, str], tag: str) -> ExecuteTask:
    waits = tuple(Dependency(execution_id=ids[parent], node=parent) for parent in task.parents)
    return ExecuteTask(
        task_id=_task_id(recording, task),
        task_version=_VERSION,
        inputs={"task": task.name, "runtimeInSeconds": task.runtime},
        tags=(tag,),
        depends_on=waits or None,
    )


async def _found(queries: TaskExecutionQueries, tag: str, total: int) -> list[TaskExecution]:
    """All executions with this tag, once so many have ended; else, after a while, as they are."""
    deadline = time.monotonic() + PROJECTION_SECONDS
    ended = tuple(status for status in Status if status.is_final)
    while time.monotonic() < deadline:
        page = await queries.list(ListTaskExecutions(tag=(tag,), status=ended, page_size=1))
        if page.total == total:
            break
        await asyncio.sleep(0.2)
    found: list[TaskExecution] = []
    cursor = None
    while True:
        page = await queries.list(ListTaskExecutions(tag=(tag,), page_size=MAX_PAGE_SIZE, cursor=cursor))
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found
