"""Stage 4, pack: what one transaction is going to do, as it is put together. None of it is true before the commit."""

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from service.contracts.timestamps import Timestamp, epoch_ms
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, STATE_TOPIC
from service.domain.decided import Edge
from service.domain.execution import Execution, Expected
from service.domain.timers import Timer
from service.handling.batches import Batches, Outgoing
from service.handling.deciding import Accepted, Answer, Caused, Misplaced, Refused, Repeated
from service.handling.records import command_records, event_records, forwarded_record
from service.handling.rejection_records import rejection_record
from service.handling.reply_records import Replied
from service.handling.snapshots import POSITION_KEY, edge_record, encode_snapshot, state_key
from service.handling.states import States
from service.kafka.murmur2 import partition_of


class UnitOfWork:
    """The answers to a batch of a partition's commands, and what timers do; as records, packed into `batches`.

    `at` is the time of all of it, `count` how many commands are answered, `size` how many bytes their events have.
    `changed` are the states by now, None for one to forget; `states` at last their records, and those of who waits for
    whom. `replies` come when all else is sent, for they name offsets: beside an accepted command stands which of the
    unit's events is its last. `caused` counts the commands that others cause.
    """

    def __init__(self, partition: int, partitions: int, batches: Batches, committed: States, at: Timestamp) -> None:
        self.partition, self.batches, self.at = partition, batches, at
        self._partitions, self._committed = partitions, committed
        self.changed: dict[str, Execution | Expected | None] = {}
        self.states: dict[bytes, bytes | None] = {}
        self.timers: list[Timer] = []
        self.replies: list[tuple[Replied, int | None]] = []
        self.outcomes: Counter[str] = Counter()
        self.count = self.size = self.caused = self._events = 0
        self._edges: dict[bytes, bytes | None] = {}

    def load(self, execution_ids: Iterable[str]) -> None:
        """Have at hand what `state_of` will be asked for."""
        self._committed.load(id_ for id_ in execution_ids if id_ not in self.changed)

    def state_of(self, execution_id: str) -> Execution | Expected | None:
        """The state of the execution by now; None if there is none."""
        if execution_id in self.changed:
            return self.changed[execution_id]
        return self._committed.get(execution_id)

    def waiting_for(self, execution_id: str, most: int) -> list[Edge]:
        """Those that wait for this execution, at most so many; of this unit, none."""
        return self._committed.waiting_for(execution_id, most)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.count or self.changed or self.caused or self._edges)

    def add(self, answer: Answer) -> None:
        """Take in the answer to the next command: those after it see what it did."""
        last_event = None
        match answer:
            case Accepted():
                last_event = self.take(answer)
            case Refused():
                self.batches.put(REJECTIONS_TOPIC, self.partition, rejection_record(answer, self.at))
            case Misplaced():
                self.batches.put(COMMANDS_TOPIC, answer.owner, forwarded_record(answer.record))
            case Repeated():
                pass
            case _:
                assert_never(answer)
        self.count += 1
        self.outcomes[answer.outcome] += 1
        if type(answer) is not Misplaced and answer.reply_to:
            self.replies.append((answer, last_event))

    def take(self, caused: Caused) -> int | None:
        """Take in what is caused, by a command or a timer; which of the unit's events is its last, if it has any."""
        last_event, decision = None, caused.decision
        for record in event_records(caused) if decision.events else ():
            self.batches.put(EVENTS_TOPIC, self.partition, record)
            last_event = self._events
            self._events += 1
        if decision.commands:
            for record in command_records(caused, self.at):
                self.batches.put(COMMANDS_TOPIC, partition_of(record.key or b"", self._partitions), record)
            self.caused += len(decision.commands)
        self.size += sum(map(len, caused.bodies))
        if decision.state is not None or decision.forgets:
            self.changed[caused.execution_id] = decision.state
        self.timers += decision.timers
        if decision.waiting or decision.told:
            self._edges |= map(edge_record, decision.waiting)
            self._edges |= {key: None for key, _ in map(edge_record, decision.told)}
        return last_event

    def add_states(self, next_offset: int) -> None:
        """Last, the newest snapshot of what changed, a tombstone for what is forgotten, and the next command's offset.

        The offset is what an opening compares the group's with.
        """
        now = epoch_ms(self.at)
        self.states = {
            state_key(execution_id): None if state is None else encode_snapshot(state)
            for execution_id, state in self.changed.items()
        }
        self.states |= self._edges
        self.states[POSITION_KEY] = b"%d" % next_offset
        for key, value in self.states.items():
            self.batches.put(STATE_TOPIC, self.partition, Outgoing(key, value, [], now))
