"""What an ExecuteTask would make, by the rules and the definitions that handlers have. Pure."""

from service.contracts.commands import ExecuteTask
from service.contracts.executions import TaskExecution
from service.contracts.timestamps import Timestamp
from service.definitions.versions import Versions
from service.domain.decided import Request, encoded
from service.domain.decision import decide
from service.domain.view import view

_NO_HASH = ""
"""It is compared with those of the commands before; of a new execution, there is none."""


def rehearsed(versions: Versions, command: ExecuteTask, execution_id: str, source: str, at: Timestamp) -> TaskExecution:
    """The execution that this command makes, where it is the first with its id; its sensitive inputs are withheld.

    Raises:
        RejectedError: the command would be refused, and why.
    """
    definition = versions.get(command.task_id, command.task_version)
    decision = decide(None, Request(command, execution_id, _NO_HASH, source, at), definition, None)
    encoded(decision)
    return view(decision.events)
