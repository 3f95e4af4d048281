"""How an execution spent its time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from service.contracts.executions import TaskExecution
from service.contracts.timestamps import Timestamp
from service.queries.answers import RecordedEvent, TaskExecutionHistory


class Step(NamedTuple):
    """An event, and how long after the one before it happened; of the first one, None."""

    event: RecordedEvent
    after: timedelta | None

    @property
    def name(self) -> str:
        """What happened, in a word."""
        return self.event.type.removeprefix("TaskExecution")


class Stage(NamedTuple):
    """Part of its life: `share` is of 100, `status` the one that it had."""

    name: str
    length: timedelta
    start: float
    share: float
    status: str


def steps_of(history: TaskExecutionHistory) -> list[Step]:
    """All that happened, in order."""
    before = (None, *history.items)
    return [
        Step(event, None if earlier is None else event.time - earlier.time)
        for earlier, event in zip(before, history.items, strict=False)
    ]


def stages_of(execution: TaskExecution) -> list[Stage]:
    """Waiting, then running, until its end or now; each as a share of the whole."""
    now = Timestamp.now(UTC)
    created, started, ended = execution.metadata.created_at, execution.started_at, execution.completed_at
    end = ended or max(now, started or created)
    waited = ("waited", created, started or end, "PENDING")
    ran = ("ran" if ended else "runs", started, end, str(execution.status))
    whole = max((end - created).total_seconds(), 0.001)
    return [
        Stage(name, until - since, _share(since - created, whole), _share(until - since, whole), status)
        for name, since, until, status in (waited, ran)
        if isinstance(since, datetime)
    ]


def _share(length: timedelta, whole: float) -> float:
    return round(100 * length.total_seconds() / whole, 2)
