"""Which functions a worker has, and for which executions."""

from dataclasses import dataclass
from typing import Final, Self

from pydantic import TypeAdapter, ValidationError

from service.contracts.executions import TaskExecution
from service.contracts.version_ranges import fits
from service.ports.claims import WantedTask
from service.worker.calling import Call, Function, way_of
from service.worker.process import in_process

_wanted: Final = TypeAdapter(WantedTask)


@dataclass(frozen=True, slots=True)
class Task:
    """A function for the executions of a task, and how it is called."""

    wanted: WantedTask
    function: Function
    call: Call

    @classmethod
    def of(cls, function: Function, task_id: str, version: str | None, *, process: bool) -> Self:
        """The task of this id, in these versions.

        Raises:
            ValueError: there can be no such task or range, or the function cannot be called in another process.
        """
        if process and "<" in getattr(function, "__qualname__", ""):
            raise ValueError(
                f"{function.__qualname__} has no name that another process finds it by: define it in a module"
            )
        try:
            wanted = _wanted.validate_python({"taskId": task_id, "version": version})
        except ValidationError as error:
            flaws = "; ".join(f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}" for flaw in error.errors())
            raise ValueError(f"{task_id} {version or ''} cannot be a task: {flaws}") from None
        return cls(wanted, function, in_process if process else way_of(function))

    def takes(self, execution: TaskExecution) -> bool:
        """Whether it is for this execution."""
        return execution.task_id == self.wanted.task_id and fits(execution.task_version, self.wanted.version)
