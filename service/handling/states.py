"""What a partition remembers of its executions: the open ones, and those finished inside the idempotency window."""

from collections.abc import Mapping

from service.domain.execution import Execution


class States:
    """The committed states by executionId."""

    def __init__(self, restored: Mapping[str, Execution] | None = None) -> None:
        self._states = dict(restored or {})

    def __len__(self) -> int:
        return len(self._states)

    def get(self, execution_id: str) -> Execution | None:
        """What is remembered of this execution; None if nothing is."""
        return self._states.get(execution_id)

    def remember(self, changed: Mapping[str, Execution | None]) -> None:
        """Take over what a transaction has committed; None forgets."""
        for execution_id, state in changed.items():
            if state is None:
                self._states.pop(execution_id, None)
            else:
                self._states[execution_id] = state


class UncommittedStates:
    """The committed states as a transaction in the making has changed them; in `changed`, None is one to forget."""

    def __init__(self, committed: States) -> None:
        self._committed = committed
        self.changed: dict[str, Execution | None] = {}

    def get(self, execution_id: str) -> Execution | None:
        """The state by now; None if there is none."""
        if execution_id in self.changed:
            return self.changed[execution_id]
        return self._committed.get(execution_id)
