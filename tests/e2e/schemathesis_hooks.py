"""What no schema can say, for Schemathesis: which task there is, and which places in the events topic."""

import re
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

positions: dict[str, str] = {}
"""By executionId, where the event of its last command is."""


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Leave what is not valid as it is; make what is valid also true."""
    query, id_ = case.query, case.path_parameters.get("executionId")
    if re.fullmatch(r"[0-9]{1,5}:[0-9]{1,18}", str(query.get("minPosition"))):
        del query["minPosition"]  # no event was ever there, or it is not of this service
    if id_ in positions and case.method == "GET":
        query.setdefault("minPosition", positions[id_])  # who reads what he wrote says so
    if "cursor" in query and re.fullmatch(r"[1-9][0-9]{0,9}", str(query.get("pageNumber"))):
        del query["pageNumber"]  # valid, but not beside a cursor
    if "cursor" in query and str(query.get("sort", "created")) in {"created", "duration"}:
        query["sort"] = "duration" if str(query["cursor"]).count(":") > 1 else "created"  # what it is a cursor of
    if isinstance(case.body, dict):
        _of_the_task(case.body)
        _of_a_worker(case.body)
        if "executionIds" in case.body:
            case.headers.setdefault("Idempotency-Key", "any")  # without ids, none is needed


def _of_the_task(body: dict[str, Any]) -> None:
    """There is one task only. It takes and gives anything, under one name."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,120}:[A-Za-z0-9_.-]{1,120}", str(body.get("taskId"))):
        body["taskId"] = "any:task"
    if re.fullmatch(r"draft|[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*", str(body.get("taskVersion"))):
        body["taskVersion"] = "1.0.0"
    if isinstance(waits := body.get("dependsOn"), list):  # which are named twice, no schema can say
        body["dependsOn"] = [one for number, one in enumerate(waits) if number == 0 or not isinstance(one, dict)]
    for name in ("inputs", "outputs"):
        if isinstance(body.get(name), dict):
            body[name] = {"any": body[name]}


def _of_a_worker(body: dict[str, Any]) -> None:
    """No schema can say which texts are ranges, and how long a lease may be; and to wait here gains nothing."""
    tasks = body.get("tasks")
    for task in tasks if isinstance(tasks, list) else ():
        if isinstance(task, dict) and isinstance(version := task.get("version"), str) and 1 <= len(version) <= 100:
            task["version"] = ">=1"
    if re.fullmatch(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?", str(body.get("lease"))):
        body["lease"] = "PT30S"  # or none: it needs an owner
        if body.get("owner") is None and "tasks" not in body:
            del body["lease"]
    if isinstance(wait := body.get("wait"), int | float) and not isinstance(wait, bool):
        body["wait"] = wait / 600


@schemathesis.hook
def after_call(_: HookContext, __: Case[Any], response: Any) -> None:
    """Remember where the events of commands are."""
    if position := response.headers.get("task-execution-position"):
        positions[response.json()["id"]] = position[0]
