"""What one transaction is going to do, as it is put together; nothing of it is true before the commit."""

from collections.abc import Iterable
from datetime import timedelta

from service.contracts.timestamps import Timestamp
from service.domain.decision import ring
from service.domain.timers import Timer
from service.handling.deciding import Accepted, Answer
from service.handling.packing import Packing
from service.handling.states import States, UncommittedStates


class UnitOfWork:
    """The answers to a batch of commands, and what timers do.

    `at` is the time of all of it; `size` how many bytes its events have; `count` how many commands are answered.
    """

    def __init__(self, committed: States, packing: Packing, at: Timestamp) -> None:
        self.at, self.packing = at, packing
        self.states = UncommittedStates(committed)
        self.timers: list[Timer] = []
        self.size = self.count = 0

    def ring(self, due: Iterable[Timer], window: timedelta) -> None:
        """Let timers do what they are for."""
        for timer in due:
            if ring(self.states.get(timer.execution_id), timer, window).forgets:
                self.states.changed[timer.execution_id] = None

    def add(self, answer: Answer) -> None:
        """Take in the answer to the next command: those after it see what it did."""
        self.packing.add(answer, self.at)
        self.count += 1
        if isinstance(answer, Accepted):
            self.size += sum(map(len, answer.bodies))
            self.states.changed[answer.state.execution_id] = answer.state
            self.timers += answer.decision.timers
