from collections import Counter

from rich.console import Console

from service.contracts.replies import Outcome
from service.contracts.status import Status
from service.demo.report import counts_by_task, disagreements, report, stats_table
from service.demo.workload import make_plan
from service.queries.answers import TaskExecutionStats

PLAN = make_plan(40)
REJECTED = PLAN.outcomes[Outcome.REJECTED]


def test_a_read_side_that_counts_as_planned_agrees() -> None:
    assert disagreements(PLAN, PLAN.statuses, rejected=REJECTED) == []


def test_what_differs_is_named() -> None:
    seen = {**PLAN.statuses, "other:task": Counter({Status.PENDING: 2})}
    found = disagreements(PLAN, seen, rejected=REJECTED + 1)
    assert found == [
        "other:task PENDING: 2 counted, 0 planned", f"rejected: {REJECTED + 1} counted, {REJECTED} planned",
    ]  # fmt: skip


def test_the_json_object_holds_every_status_and_their_sum() -> None:
    found = report(PLAN.statuses, rejected=REJECTED, duplicates=3, seconds=1.23456)
    assert list(found) == [
        "total", "pending", "running", "success", "failure", "stopped", "skipped", "rejected", "duplicates", "seconds",
    ]  # fmt: skip
    assert found["total"] == 40 == sum(found[status.lower()] for status in Status)
    assert (found["rejected"], found["duplicates"], found["seconds"]) == (REJECTED, 3, 1.235)


def test_counts_are_read_from_a_query_answer() -> None:
    stats = TaskExecutionStats(task_id="a:b", total=6, pending=1, running=0, success=2, failure=0, stopped=0, skipped=3)
    assert counts_by_task([stats]) == {"a:b": Counter({Status.PENDING: 1, Status.SUCCESS: 2, Status.SKIPPED: 3})}


def test_the_table_has_a_row_per_task_and_one_for_all() -> None:
    console = Console(width=140, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(stats_table({"a:b": Counter({Status.SUCCESS: 3, Status.FAILURE: 1}), "c:d": Counter()}))
    lines = captured.get().splitlines()
    row = next(line for line in lines if "a:b" in line)
    assert "75%" in row
    assert any("all" in line and "4" in line for line in lines)
    assert " - " in next(line for line in lines if "c:d" in line)
