"""Stage 4, pack: answers become records, by topic and partition. Nothing is sent yet."""

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from service.contracts.timestamps import Timestamp
from service.contracts.topics import COMMANDS_TOPIC, EVENTS_TOPIC, REJECTIONS_TOPIC, STATE_TOPIC
from service.domain.execution import Execution
from service.handling.batches import Batches, Outgoing
from service.handling.deciding import Accepted, Answer, Misplaced, Refused, Repeated
from service.handling.records import command_records, epoch_ms, event_records, forwarded_record
from service.handling.rejection_records import rejection_record
from service.handling.reply_records import Replied
from service.handling.snapshots import POSITION_KEY, encode_snapshot
from service.kafka.murmur2 import partition_of


class Packing:
    """The records of one transaction of a partition, of so many."""

    def __init__(self, partition: int, partitions: int, batches: Batches) -> None:
        self.partition, self.batches = partition, batches
        self._partitions = partitions
        self._events = 0
        self.outcomes: Counter[str] = Counter()
        self.replies: list[tuple[Replied, int | None]] = []
        """What is to be replied to, when all else is sent: replies name offsets. Beside an accepted command, which of
        the transaction's events is its last."""

    def add(self, answer: Answer, at: Timestamp) -> None:
        """Take in everything of the answer but the state."""
        last_event = None
        match answer:
            case Accepted():
                for record in event_records(answer):
                    self.batches.put(EVENTS_TOPIC, self.partition, record)
                    last_event = self._events
                    self._events += 1
                if answer.decision.commands:
                    for record in command_records(answer, at):
                        self.batches.put(COMMANDS_TOPIC, partition_of(record.key or b"", self._partitions), record)
            case Refused():
                self.batches.put(REJECTIONS_TOPIC, self.partition, rejection_record(answer, at))
            case Misplaced():
                self.batches.put(COMMANDS_TOPIC, answer.owner, forwarded_record(answer.record))
            case Repeated():
                pass
            case _:
                assert_never(answer)
        self.outcomes[answer.outcome] += 1
        if not isinstance(answer, Misplaced) and answer.reply_to:
            self.replies.append((answer, last_event))

    def add_states(self, changed: Mapping[str, Execution | None], next_offset: int, at: Timestamp) -> None:
        """The newest snapshot of what changed, a tombstone for what is forgotten, and the next command's offset.

        The offset is what an opening compares the group's with.
        """
        now = epoch_ms(at)
        for execution_id, state in changed.items():
            self._put_state(execution_id.encode(), None if state is None else encode_snapshot(state), now)
        self._put_state(POSITION_KEY, b"%d" % next_offset, now)

    def _put_state(self, key: bytes, value: bytes | None, now: int) -> None:
        self.batches.put(STATE_TOPIC, self.partition, Outgoing(key, value, [], now))
