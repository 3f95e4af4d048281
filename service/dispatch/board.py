"""What can start and who waits for it. Pure: what happens, and how it is told, comes from outside.

What it says is never relied on: the write side decides who may start what. But of what can start, all that fits is on
it, or is known to be missing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from service.contracts.version_ranges import fits

LIMIT: Final = 1_000
"""So many executions of a task are kept, the oldest. Once a quarter is left, there are more to be read."""

MOST: Final = 200_000
"""So many of all tasks."""

MOST_TASKS: Final = 10_000
"""So many tasks; of more, only those that somebody waits for."""

_LOOKED_AT: Final = 64
"""So many of a task may be older than one that is preferred."""

_MOST_GONE: Final = 100_000

MOST_BYTES: Final = 64 << 20
"""Of bodies: of what comes beyond, the inputs are asked for."""


class Ready(NamedTuple):
    """An execution that can start. `body` is that of the event which made it, if it is at hand."""

    execution_id: str
    task_id: str
    version: str
    created_ms: int
    body: bytes | None = None


Wanted = Mapping[str, Sequence[str | None]]
"""By task, the ranges of its versions; None is all of them."""


@dataclass(eq=False)
class Poll:
    """Somebody who waits for an execution of one of these tasks, and is told by `give`."""

    wanted: Wanted
    give: Callable[[Ready], None]

    def takes(self, task_id: str, version: str) -> bool:
        """Whether that would do."""
        return any(fits(version, one) for one in self.wanted.get(task_id, ()))


@dataclass
class _Task:
    """By version, what can start, oldest first.

    `whole`: nothing is missing. `missed`: since the oldest were asked for, something was not kept.
    """

    queues: dict[str, dict[str, Ready]] = field(default_factory=dict)
    whole: bool = False
    missed: bool = False

    @property
    def size(self) -> int:
        return sum(map(len, self.queues.values()))


class Board:
    """Executions that can start, of the tasks that somebody has asked for, and those who wait, the longest first.

    What was given away is removed by the event of its start, `lost`, or put `back`. `short` are the tasks of which
    more must be read. Those that it `prefers`, by their ids, come before older ones.
    """

    def __init__(
        self,
        limit: int = LIMIT,
        most: int = MOST,
        most_tasks: int = MOST_TASKS,
        prefers: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._prefers = prefers
        self._limit, self._most, self._most_tasks = limit, most, most_tasks
        self._tasks: dict[str, _Task] = {}
        self._places: dict[str, Ready] = {}
        self._polls: dict[Poll, None] = {}
        self._given: set[str] = set()
        self._reading: set[str] = set()
        self._gone: set[str] = set()
        self._bytes = 0
        self.short: set[str] = set()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._polls)

    def ask(self, poll: Poll) -> None:
        """Give the poll the oldest that it takes, at once or when there is one."""
        self._track(poll.wanted)
        found = [
            self._first(queue)
            for task_id in poll.wanted
            for version, queue in self._tasks[task_id].queues.items()
            if poll.takes(task_id, version)
        ]
        if found:
            self._give(min(found, key=lambda ready: (not self._prefers(ready.execution_id), ready.created_ms)), poll)
        else:
            self._polls[poll] = None

    def withdraw(self, poll: Poll) -> None:
        """It does not wait any more."""
        self._polls.pop(poll, None)

    def add(self, ready: Ready) -> None:
        """This can start now: it goes to who has waited for such a one longest, or is kept for the next."""
        task = self._tasks.get(ready.task_id)
        self._gone.discard(ready.execution_id)
        if task is None or ready.execution_id in self._places or ready.execution_id in self._given:
            return
        if poll := self._waiting_for(ready):
            self._give(ready, poll)
        elif (task.whole or ready.task_id in self._reading) and task.size < self._limit and len(self) < self._most:
            self._put(task, ready)
        else:
            task.whole, task.missed = False, True
            self._look(ready.task_id, task)

    def remove(self, execution_id: str) -> None:
        """It has started or ended: it is nobody's to start any more."""
        self._given.discard(execution_id)
        if self._reading:  # what is read may be from before
            self._gone.add(execution_id)
        if ready := self._places.get(execution_id):
            self._take(ready)

    def is_given(self, ready: Ready) -> bool:
        """Whether what was given may still be started: nobody else has, as far as is known."""
        return ready.execution_id in self._given

    def lost(self, ready: Ready) -> None:
        """What was given cannot be started: others were faster, or it has to wait."""
        self.remove(ready.execution_id)

    def back(self, ready: Ready) -> None:
        """What was given may still be there: it is the next again."""
        if ready.execution_id not in self._given:
            return  # it has started meanwhile
        self._given.discard(ready.execution_id)
        if poll := self._waiting_for(ready):
            self._give(ready, poll)
        elif task := self._tasks.get(ready.task_id):
            behind = task.queues.pop(ready.version, {})
            self._put(task, ready)
            task.queues[ready.version] |= behind

    def begin_reading(self, most: int) -> list[str]:
        """Tasks of which the oldest must be read now; from here on, nothing that happens to them is missed."""
        begun = [task_id for task_id in islice(self.short, most) if task_id in self._tasks]
        self.short = {*islice(self.short, most, None)}
        self._reading.update(begun)
        for task_id in begun:
            self._tasks[task_id].missed = False
        return begun

    def begin_anew(self, most: int = _MOST_GONE) -> bool:
        """Whether so much has happened while something is read that it must be read as it is from now on."""
        if len(self._gone) <= most:
            return False
        self._gone.clear()
        return True

    def fill(self, task_id: str, oldest: Iterable[Ready], *, whole: bool) -> None:
        """What was read, oldest first. `whole`: there was no more. What has come since stands behind it."""
        self._reading.discard(task_id)
        if (task := self._tasks.get(task_id)) is None:
            return
        later = [ready for queue in task.queues.values() for ready in queue.values()]
        for ready in later:
            self._drop(ready)
        task.queues = {}
        bodies = {ready.execution_id: ready for ready in later}
        for ready in [*(bodies.pop(one.execution_id, one) for one in oldest), *bodies.values()]:
            if ready.execution_id in self._gone or ready.execution_id in self._given:
                continue
            if poll := self._waiting_for(ready):
                self._give(ready, poll)
            elif task.size < self._limit:
                self._put(task, ready)
            else:
                task.missed = True
        task.whole = whole and not task.missed
        if not self._reading:
            self._gone.clear()
        self._look(task_id, task)

    def unknown(self) -> None:
        """Something may have been missed: of every task, the oldest must be read again."""
        self._given.clear()
        self._reading.clear()
        self.short.update(self._tasks)
        for task in self._tasks.values():
            task.whole = False

    def _first(self, queue: Mapping[str, Ready]) -> Ready:
        preferred = (ready for id_, ready in islice(queue.items(), _LOOKED_AT) if self._prefers(id_))
        return next(preferred, next(iter(queue.values())))

    def _track(self, task_ids: Collection[str]) -> None:
        new = [task_id for task_id in task_ids if task_id not in self._tasks]
        if len(self._tasks) + len(new) > self._most_tasks:
            used = {task_id for poll in self._polls for task_id in poll.wanted}
            for task_id in self._tasks.keys() - used - set(task_ids):
                for queue in self._tasks.pop(task_id).queues.values():
                    for ready in queue.values():
                        self._drop(ready)
        self._tasks |= {task_id: _Task() for task_id in new}
        self.short.update(new)

    def _waiting_for(self, ready: Ready) -> Poll | None:
        return next((poll for poll in self._polls if poll.takes(ready.task_id, ready.version)), None)

    def _give(self, ready: Ready, poll: Poll) -> None:
        if ready.execution_id in self._places:
            self._take(ready)
        self._polls.pop(poll, None)
        self._given.add(ready.execution_id)
        poll.give(ready)

    def _put(self, task: _Task, ready: Ready) -> None:
        size = len(ready.body or b"")
        if self._bytes + size > MOST_BYTES:
            ready, size = ready._replace(body=None), 0
        self._bytes += size
        self._places[ready.execution_id] = ready
        task.queues.setdefault(ready.version, {})[ready.execution_id] = ready

    def _take(self, ready: Ready) -> None:
        self._drop(ready)
        task = self._tasks[ready.task_id]
        del task.queues[ready.version][ready.execution_id]
        if not task.queues[ready.version]:
            del task.queues[ready.version]
        self._look(ready.task_id, task)

    def _drop(self, ready: Ready) -> None:
        del self._places[ready.execution_id]
        self._bytes -= len(ready.body or b"")

    def _look(self, task_id: str, task: _Task) -> None:
        if not task.whole and task_id not in self._reading and task.size <= self._limit // 4:
            self.short.add(task_id)
