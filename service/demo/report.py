"""What the demo shows at the end: a table, a JSON object, and whether the read side agrees with the plan."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from rich.table import Table

from service.contracts.replies import Outcome
from service.contracts.status import Status
from service.demo.workload import Plan
from service.queries.answers import TaskExecutionStats

CountsByTask = Mapping[str, Mapping[Status, int]]
"""By taskId, how many executions are in each status."""

_NONE: Final[Mapping[Status, int]] = {}
_COLOURS: Final = {
    Status.PENDING: "white", Status.RUNNING: "cyan", Status.SUCCESS: "green", Status.FAILURE: "red",
    Status.STOPPED: "yellow", Status.SKIPPED: "magenta",
}  # fmt: skip


def counts_by_task(stats: Iterable[TaskExecutionStats]) -> CountsByTask:
    """The read side's answers, one per task, as counts."""
    return {each.task_id or "": Counter({status: getattr(each, status.lower()) for status in Status}) for each in stats}


def stats_table(by_task: CountsByTask) -> Table:
    """A row per taskId and one for all. The success rate is that of the executions that ran to their end."""
    table = Table(title="Task executions")
    table.add_column("task")
    table.add_column("total", justify="right")
    for status in Status:
        table.add_column(status.value, justify="right", style=_COLOURS[status])
    table.add_column("success rate", justify="right")
    for task_id, counts in sorted(by_task.items()):
        table.add_row(task_id, *_cells(counts))
    table.add_section()
    table.add_row("all", *_cells(_overall(by_task)), style="bold")
    return table


def report(by_task: CountsByTask, *, rejected: int, duplicates: int, seconds: float) -> dict[str, int | float]:
    """The outcome of the demo as a JSON object."""
    counts = _overall(by_task)
    return {
        "total": counts.total(),
        **{status.lower(): counts[status] for status in Status},
        "rejected": rejected,
        "duplicates": duplicates,
        "seconds": round(seconds, 3),
    }


def disagreements(plan: Plan, by_task: CountsByTask, *, rejected: int) -> list[str]:
    """Where the read side's numbers are not those of the plan; empty if they agree everywhere."""
    planned: CountsByTask = plan.statuses
    pairs = {
        f"{task_id} {status}": tuple(counts.get(task_id, _NONE).get(status, 0) for counts in (by_task, planned))
        for task_id in sorted(planned.keys() | by_task.keys())
        for status in Status
    }
    pairs["rejected"] = (rejected, plan.outcomes[Outcome.REJECTED])
    return [
        f"{what}: {seen} counted, {expected} planned" for what, (seen, expected) in pairs.items() if seen != expected
    ]


def _overall(by_task: CountsByTask) -> Counter[Status]:
    return sum(map(Counter, by_task.values()), Counter())


def _cells(counts: Mapping[Status, int]) -> list[str]:
    ended = counts.get(Status.SUCCESS, 0) + counts.get(Status.FAILURE, 0)
    rate = f"{counts.get(Status.SUCCESS, 0) / ended:.0%}" if ended else "-"
    return [f"{sum(counts.values()):,}", *(f"{counts.get(status, 0):,}" for status in Status), rate]
