"""A batch of command records in, their answers out, in memory: what one answer needs from outside is fetched for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.contracts.timestamps import Timestamp
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.handling.answering import Accepted, Answer, Desk, Refused
from service.handling.definitions_table import DefinitionsTable
from service.handling.replies import ReplyTopics
from service.kafka.records import Record

_GROUP: Final = 60
"""So many answers are handed over while they are still in the CPU's cache, and then everything else has its turn."""

_TURN_SECONDS: Final = 0.02
"""Everything else has its turn after this long, too: a command may be large, and its definition's patterns slow."""

MAX_SECONDS: Final = 1.0
"""Then the batch ends, however many records are left: a transaction must be over before its deadline."""


MAX_EVENTS_BYTES: Final = 16 << 20
"""Then it ends, too: a small command's event may be large by the defaults that its definition fills in."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The states that are new by the first `count` records of the batch."""

    changed: dict[str, Execution]
    count: int


class BatchAnswering:
    """Answers the records of one partition."""

    def __init__(
        self, partition: int, partitions: int, definitions: DefinitionsTable, reply_topics: ReplyTopics
    ) -> None:
        self._definitions, self._reply_topics = definitions, reply_topics
        self._desk = Desk(partition, partitions, self._definition_of, self._reply_flaw)
        self._missing: Callable[[], Awaitable[None]] | None = None
        self._fetched: set[Callable[[], Awaitable[None]]] = set()

    async def answer_all(
        self,
        records: Sequence[Record],
        known: Mapping[str, Execution],
        at: Timestamp,
        take: Callable[[Iterable[Answer], Timestamp], None],
    ) -> Answered:
        """Hand the answers over in order, each seeing what those before it did; at most those that time allows."""
        changed: dict[str, Execution] = {}

        def state_of(execution_id: str) -> Execution | None:
            return changed.get(execution_id) or known.get(execution_id)

        # All records of the batch are older than this moment: to fetch a thing once is enough for all of them.
        self._fetched.clear()
        answers: list[Answer] = []
        size = 0
        began = turn = time.monotonic()
        for number, record in enumerate(records, 1):
            answer = self._desk.answer(record, state_of, at)
            while self._missing is not None:
                fetch, self._missing = self._missing, None
                self._fetched.add(fetch)
                await fetch()
                answer = self._desk.answer(record, state_of, at)
            if isinstance(answer, Accepted):
                size += len(answer.value)
                changed[answer.state.execution_id] = answer.state
            answers.append(answer)
            if len(answers) == _GROUP or size > MAX_EVENTS_BYTES or time.monotonic() - turn > _TURN_SECONDS:
                take(answers, at)
                answers = []
                if size > MAX_EVENTS_BYTES or time.monotonic() - began > MAX_SECONDS:
                    return Answered(changed, number)
                await asyncio.sleep(0)
                turn = time.monotonic()
        take(answers, at)
        return Answered(changed, len(records))

    async def set_aside(self, record: Record, *, bare: bool) -> Refused:
        """Refuse a command unread (see `Desk.set_aside`)."""
        await self._reply_topics.learn()
        return self._desk.set_aside(record, bare=bare)

    def _definition_of(self, task_id: str, version: str) -> Definition | None:
        definition = self._definitions.get(task_id, version)
        if definition is None or not definition.is_published:
            self._miss(self._definitions.catch_up)
        return definition

    def _reply_flaw(self, topic: str) -> str | None:
        if not self._reply_topics.knows(topic):
            self._miss(self._reply_topics.learn)
        return self._reply_topics.flaw(topic)

    def _miss(self, fetch: Callable[[], Awaitable[None]]) -> None:
        if fetch not in self._fetched:
            self._missing = fetch
