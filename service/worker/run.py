"""A run, as the function sees it that is run."""

from collections.abc import Callable
from threading import Event
from typing import Final, NamedTuple

from service.contracts.executions import TaskExecution

_MAX_MESSAGE: Final = 255


class Progress(NamedTuple):
    """What a run tells of itself; what is None, it does not tell anew."""

    done: float | None = None
    message: str | None = None
    spark_application_id: str | None = None

    def then(self, newer: "Progress") -> "Progress":
        """Both, told as one."""
        return self._replace(**{name: value for name, value in newer._asdict().items() if value is not None})


Tell = Callable[[Progress], None]


class Run:
    """What a function is given beside its inputs: what it runs, and how to tell how far it is. For any thread."""

    def __init__(self, execution: TaskExecution, tell: Tell) -> None:
        self.execution = execution
        """Its id, task, version, attempt, tags and so on, as it was when it began to run."""
        self.tell = tell
        """Pass on what was told in another process."""
        self._stopped = Event()

    def progress(self, done: float | None = None, message: str | None = None) -> None:
        """Tell how much is done, from 0 to 1, and what comes now. A message that is long is cut.

        Do so as often as you like: what was said last is sent with the next heartbeat.

        Raises:
            ValueError: `done` is not from 0 to 1.
        """
        if done is not None and not 0 <= done <= 1:
            raise ValueError(f"how much is done must be from 0 to 1, not {done}")
        if message is not None:
            message = "".join(one if one.isprintable() else " " for one in message)[:_MAX_MESSAGE] or None
        self.tell(Progress(None if done is None else float(done), message))

    def spark_application(self, id_: str) -> None:
        """Tell which Spark application runs it. Only where the definition is a pyspark_operator."""
        self.tell(Progress(spark_application_id=id_))

    @property
    def is_stopped(self) -> bool:
        """Whether nobody wants the result any more: a function in a thread should look now and then, and return.

        An asynchronous function is cancelled then, and a process is killed.
        """
        return self._stopped.is_set()

    def stop(self) -> None:
        """Nobody wants the result any more."""
        self._stopped.set()
