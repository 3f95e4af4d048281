"""OpenAPI links: which operations follow one another, and what each takes of the answer before."""

from typing import Any, Final

from service.api.names import POSITION

_ID: Final = {"executionId": "$response.body#/id"}
_READ: Final = {**_ID, "minPosition": f"$response.header.{POSITION}"}

_READS: Final = ("GetTaskExecution", "GetTaskExecutionHistory")
_NEXT: Final = {
    "ExecuteTask": ("StartTaskExecution", "StopTaskExecution", "SkipTaskExecution"),
    "StartTaskExecution": ("SucceedTaskExecution", "FailTaskExecution", "StopTaskExecution"),
}


def command_links(name: str) -> dict[str, Any]:
    """What can follow this command: the next commands, and the queries that show what it did."""
    return {next_: {"operationId": next_, "parameters": _ID} for next_ in _NEXT.get(name, ())} | {
        read: {"operationId": read, "parameters": _READ, "description": "Shows what the command did."}
        for read in _READS
    }
