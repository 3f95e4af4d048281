"""The six statuses of a TaskExecution."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where an execution is in its life; `SUCCESS`, `FAILURE`, `STOPPED` and `SKIPPED` are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self not in _OPEN


_OPEN: Final = (Status.PENDING, Status.RUNNING)
