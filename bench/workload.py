"""The measured work: lives of three commands each, of the number and shape that the peers' `fill` makes."""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from service.domain.identity import command_id

SOURCE: Final = "/bench/workers/eu-1"
TYPES: Final = ("ExecuteTask", "StartTaskExecution", "SucceedTaskExecution")
WINDOW: Final = 1000
NOTE: Final = 24
"""Bytes of the longest of an execution's inputs and outputs, all of which together have about 100 more."""

TASK: Final = {"taskId": "bench:resize-image", "taskVersion": "1.0.0"}
_VARIABLES: Final = [
    {"name": name, "type": kind}
    for name, kind in (("url", "string"), ("w", "number"), ("h", "number"), ("note", "string"))
]
DEFINITION: Final = {
    "taskId": TASK["taskId"], "version": TASK["taskVersion"], "status": "PUBLISHED", "type": "ray_operator",
    "inputVariables": _VARIABLES, "outputVariables": _VARIABLES,
}  # fmt: skip


class Written(NamedTuple):
    """A command as it is produced."""

    key: bytes
    value: bytes
    headers: list[tuple[str, str | bytes | None]]


def execution_id(number: int, run: str) -> str:
    """The id of execution `number`: that of its ExecuteTask."""
    return command_id(SOURCE, f"{run}-ExecuteTask-{number:012d}")


def command(number: int, type_: str, run: str = "cmd", note: int = NOTE) -> Written:
    """The command of this type in the life of execution `number`; `run` keeps the ids of several runs apart."""
    id_, execution = f"{run}-{type_}-{number:012d}", execution_id(number, run)
    image = {"url": f"s3://bucket/images/{number:012d}.png", "w": 640, "h": 480, "note": "x" * note}
    match type_:
        case "ExecuteTask":
            body: dict[str, object] = {**TASK, "inputs": image}
        case "StartTaskExecution":
            body = {"executionId": execution}
        case _:
            body = {"executionId": execution, "outputs": image}
    headers = {
        "ce_specversion": "1.0", "ce_id": id_, "ce_source": SOURCE, "ce_type": type_,
        "ce_time": "2026-11-23T20:00:00.000Z", "content-type": "application/json",
    }  # fmt: skip
    value = json.dumps(body, separators=(",", ":")).encode()
    return Written(execution.encode(), value, [(name, text.encode()) for name, text in headers.items()])


def lives(executions: int, note: int = NOTE) -> Iterator[Written]:
    """All commands, in windows of 1,000 executions: all ExecuteTask, then all Start, then all Succeed."""
    for first in range(0, executions, WINDOW):
        for type_ in TYPES:
            for number in range(first, min(first + WINDOW, executions)):
                yield command(number, type_, note=note)
